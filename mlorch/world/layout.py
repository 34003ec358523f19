"""Where what lies in the state folder, and whether the folder may be used at all.

.mlorch/                           mode 0700
  version  .gitignore  reserve
  state/PIPELINE/PARTITION/        journal.jsonl  lock
  pools/POOL/                      0  1 …: one lock for each slot
  groups/GROUP/                    the same for runs that may go on at once
  runs/RUN_ID/                     run.json  spec.yaml  records.jsonl  STEP.ATTEMPT.log …
  cache/                           may be deleted at any time
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mlorch.model.errors import StateError
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.model.ports import Clock

VERSION = 1
"""Of the layout. A newer one is refused, an older one would be converted by `StateLayout.create`."""

RESERVE_BYTES = 256 * 1024
"""Kept on disk so that the last records of a run fit on a full one."""

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "lustre", "glusterfs", "gfs2", "ocfs2"}
)
_NETWORK_FUSE = (
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.gcsfuse",
    "fuse.juicefs",
)
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
_SAFE = frozenset(map(ord, _PLAIN))
_LONGEST = 180
_KEPT = 120
_SUFFIX_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def encode_name(text: str) -> str:
    """A safe file name for a partition key or a step id: at most 180 characters, different for different texts.

    Bytes outside `[A-Za-z0-9._+-]` become `%XX`, "" becomes `_` (and `_` alone `%5F`), and a leading dot is encoded. A name that would be longer
    ends in `~` and a hash: such a one cannot be decoded.
    """
    if not text:
        return "_"
    if _PLAIN.issuperset(text) and text[0] != "." and text != "_" and len(text) <= _LONGEST:
        return text  # nearly every step's id and partition's key; asked for some times in each attempt
    raw = os.fsencode(text)
    name = "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in raw)
    if name.startswith("."):
        name = "%2E" + name[1:]
    elif name == "_":
        name = "%5F"
    if len(name) <= _LONGEST:
        return name
    import hashlib

    return f"{name[:_KEPT]}~{hashlib.sha256(raw).hexdigest()[:32]}"


def make_private(folder: str) -> None:
    """Make a folder of the state, for its owner only (0700), with those above it; it may be there. Raises `StateError`."""
    try:
        try:
            os.mkdir(folder, 0o700)
        except OSError:  # mostly the one above is there, and this one is not
            os.makedirs(folder, 0o700, exist_ok=True)
    except OSError as error:
        raise state_error(error, folder, "create") from error


def decode_name(name: str) -> str | None:
    """The text that `encode_name` made `name` of; None for a shortened name, or one that is not ours."""
    if name == "_":
        return ""
    if _PLAIN.issuperset(name) and encode_name(name) == name:
        return name
    out = bytearray()
    position = 0
    while position < len(name):
        if name[position] == "%":
            try:
                out.append(int(name[position + 1 : position + 3], 16))
            except ValueError:
                return None
            position += 3
        else:
            out += name[position].encode()
            position += 1
    text = os.fsdecode(bytes(out))
    return text if encode_name(text) == name else None


class StateLayout:
    """Paths below the state folder (absolute, as text). Asking for a path touches no disk."""

    def __init__(self, state_dir: str) -> None:
        if not os.path.isabs(state_dir):
            raise ValueError(f"not absolute: {state_dir}")
        self.root = state_dir.rstrip("/") or "/"
        self.runs = f"{self.root}/runs"
        self.cache = f"{self.root}/cache"
        self.pools = f"{self.root}/pools"
        self.groups = f"{self.root}/groups"
        self.reserve = f"{self.root}/reserve"

    def partition(self, pipeline: str, partition: str) -> str:
        """The folder of one partition's journal and lock."""
        return f"{self.root}/state/{encode_name(pipeline)}/{encode_name(partition)}"

    def journal(self, pipeline: str, partition: str) -> str:
        """The journal's file."""
        return self.partition(pipeline, partition) + "/journal.jsonl"

    def journals(self, pipeline: str) -> Callable[[str], str]:
        """What gives the files of many journals, by partition."""
        folder = f"{self.root}/state/{encode_name(pipeline)}"
        return lambda partition: f"{folder}/{encode_name(partition)}/journal.jsonl"

    def lock(self, pipeline: str, partition: str) -> str:
        """The lock's file."""
        return self.partition(pipeline, partition) + "/lock"

    def run(self, run_id: str) -> str:
        """The folder of one run."""
        return f"{self.runs}/{run_id}"

    def records(self, run_id: str) -> str:
        """Where executors write the start and the end of each attempt."""
        return f"{self.runs}/{run_id}/records.jsonl"

    def attempt(self, run_id: str, step: str, number: int, suffix: str) -> str:
        """A file of one attempt; `suffix` is `log`, `values`, `summary` or `context.json`."""
        return f"{self.runs}/{run_id}/{encode_name(step)}.{number}.{suffix}"

    # What is there.

    def exists(self) -> bool:
        """Whether there is any state."""
        return os.path.isdir(self.root)

    def journal_size(self, pipeline: str, partition: str) -> int:
        """Bytes of the journal's file; 0 if there is none, or it cannot be looked at."""
        try:
            return os.stat(self.journal(pipeline, partition)).st_size
        except OSError:
            return 0

    def pipelines(self) -> tuple[str, ...]:
        """Names of pipelines with state, sorted."""
        names = (decode_name(name) for name in self._list(f"{self.root}/state"))
        return tuple(sorted(name for name in names if name is not None))

    def partitions(self, pipeline: str) -> tuple[str, ...]:
        """Keys of partitions with a folder, sorted."""
        folder = f"{self.root}/state/{encode_name(pipeline)}"
        return tuple(sorted(key for name in self._list(folder) if (key := self._key(folder, name)) is not None))

    def run_ids(self) -> tuple[str, ...]:
        """Ids of all runs that have a folder, oldest first."""
        return tuple(sorted(name for name in self._list(self.runs) if not name.startswith(".")))

    def find_run(self, prefix: str) -> tuple[str, ...]:
        """Ids of the runs that begin with `prefix`, oldest first; one that equals it comes alone."""
        found = tuple(run_id for run_id in self.run_ids() if run_id.startswith(prefix))
        return (prefix,) if prefix in found else found

    def _key(self, folder: str, name: str) -> str | None:
        key = decode_name(name)
        if key is not None or "~" not in name:
            return key
        try:
            with open(f"{folder}/{name}/key", encoding="utf-8", errors="surrogateescape", newline="") as file:
                key = file.read()
        except OSError:
            return None
        return key if encode_name(key) == name else None

    @staticmethod
    def _list(folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise state_error(error, folder, "list") from error

    # Making it.

    def create(self, *, allow_network: bool = False) -> None:
        """Make the state folder if need be, and see that it may be used. Costs a few system calls when all is well.

        Raises `StateError`: another user's folder, a network file system, a newer layout, or what the disk says.
        """
        try:
            os.mkdir(self.root, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            make_private(self.root)
        except OSError as error:
            raise state_error(error, self.root, "create") from error
        self._check_folder(allow_network=allow_network)
        self._check_version()

    def check(self) -> None:
        """For readers: see that the state folder, if there is one, has a layout that we understand. Changes nothing."""
        if self._read_version() is None:
            return
        self._check_version()

    def create_partition(self, pipeline: str, partition: str) -> str:
        """Make the folder of one partition and return its path. Raises `StateError`."""
        folder = self.partition(pipeline, partition)
        if not os.path.isdir(folder):
            make_private(folder)
            if decode_name(os.path.basename(folder)) is None:
                self._write(f"{folder}/key", partition)
        return folder

    def create_run(self, run_id: str) -> str:
        """Make the folder of a run and return its path; it may be there. Raises `StateError`."""
        folder = self.run(run_id)
        make_private(folder)
        return folder

    def new_run_id(self, clock: Clock) -> str:
        """A fresh id such as `20261123-150405-k3f9a7`: sorts by the millisecond it was made (UTC), and no other run has it."""
        while True:
            now = clock.wall()
            milliseconds = now.microsecond // 1000
            suffix = _SUFFIX_LETTERS[milliseconds >> 5] + _SUFFIX_LETTERS[milliseconds & 31]
            suffix += "".join(_SUFFIX_LETTERS[byte & 31] for byte in os.urandom(4))
            run_id = f"{now:%Y%m%d-%H%M%S}-{suffix}"
            if not os.path.lexists(self.run(run_id)):
                return run_id

    @staticmethod
    def _write(path: str, text: str) -> None:
        try:
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(text)
        except OSError as error:
            raise state_error(error, path, "write") from error

    def _check_folder(self, *, allow_network: bool) -> None:
        try:
            status = os.stat(self.root)
        except OSError as error:
            raise state_error(error, self.root, "use") from error
        if not stat.S_ISDIR(status.st_mode):
            raise state_error(NotADirectoryError(errno.ENOTDIR, "not a folder"), self.root, "use")
        if status.st_uid != os.geteuid():
            raise StateError(
                f"the state folder {self.root} belongs to another user (uid {status.st_uid}, you are {os.geteuid()})",
                "run as that user, or set `state:` in mlorch.yaml to a folder of your own; "
                f"to take it over: chown -R {os.geteuid()} {self.root}",
            )
        if not allow_network and (kind := network_kind(self.root)):
            raise StateError(
                f"the state folder {self.root} lies on a network file system ({kind}), where locks between processes cannot be trusted",
                "set `state:` in mlorch.yaml to a folder on a local disk, or `allow_network_state: true` if only one machine ever uses it",
            )

    def _read_version(self) -> str | None:
        path = f"{self.root}/version"
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                # A power cut may leave a file of the right length that holds nothing but zeros.
                return file.read(64).strip("\0").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise state_error(error, path, "read") from error

    def _check_version(self) -> None:
        path = f"{self.root}/version"
        found = self._read_version()
        if not found:  # new, or cut off between the folder and this file
            self._write(f"{self.root}/.gitignore", "*\n")
            self._write(path, f"{VERSION}\n")
            return
        if not found.isdigit():
            raise StateError(
                f"{path} does not hold a version number but {found!r}",
                f"if the folder is mlorch's, write {VERSION} into it; else set `state:` in mlorch.yaml to another folder",
            )
        if int(found) > VERSION:
            raise StateError(
                f"the state in {self.root} was written by a newer mlorch (layout {found}, this one knows {VERSION})",
                "upgrade mlorch, or set `state:` in mlorch.yaml to another folder",
            )


def network_kind(path: str) -> str:
    """The type of the file system of `path` if it is one shared by machines (`nfs4`, `cifs`, …), else ""."""
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", "rb") as file:
            return shared_kind(file.read(), os.major(device), os.minor(device))
    except OSError:
        return ""


def shared_kind(mounts: bytes, major: int, minor: int) -> str:
    """The type of the device's file system by the lines of proc(5) `mountinfo`, if machines share it, else ""."""
    marker = f" {major}:{minor} ".encode()
    for line in mounts.splitlines():
        if marker in line:
            kind = line.partition(b" - ")[2].split(b" ", 1)[0].decode("ascii", "replace")
            return kind if kind in _NETWORK or kind.startswith(_NETWORK_FUSE) else ""
    return ""
