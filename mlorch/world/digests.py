"""Digests of files and folders, and a cache of them that may be lost at any time.

A file's digest is the SHA-256 of its bytes, as `sha256sum` prints it. A folder's is the SHA-256 over its entries, sorted by
relative path as bytes: the kind (`d`, `f`, `l`), the path, and the digest (`f`), or for a link its target and, when that is
a file, that file's digest. Times, owners and modes do not count.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

from mlorch.model.errors import FileError
from mlorch.world.trouble import file_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20
_GRAIN_NS = 20_000_000
"""Two changes closer than this may carry one time stamp (a tick of the kernel is 10 ms at most; twice that)."""

_ENTRIES = 200_000
"""The cache keeps so many files at most."""


def signature(status: os.stat_result) -> str:
    """What `stat` says of a file: the same signature means the same content, unless it is `racy`."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def is_racy(status: os.stat_result, looked_ns: int) -> bool:
    """Whether the file changed so shortly before `looked_ns` (wall clock) that a later change may not show in its times.

    A file from the future (the clock went back) is racy too.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns) > looked_ns - _GRAIN_NS


def sha256_of(path: str) -> str:
    """The SHA-256 of a regular file's bytes in hex. Raises `OSError`."""
    from hashlib import sha256

    # O_NONBLOCK: whatever took the file's place since it was looked at must not make us wait.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        block = os.read(fd, 65536)
        digest = sha256(block)
        if len(block) == 65536:
            buffer = bytearray(_BLOCK)
            view = memoryview(buffer)
            while count := os.readv(fd, [buffer]):
                digest.update(view[:count])
        else:
            while block:
                block = os.read(fd, 65536)
                digest.update(block)
        return digest.hexdigest()
    finally:
        os.close(fd)


def walk(folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All entries below `folder` as (path relative to it, entry), in no order; links are not entered. Raises `OSError`."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(f"{folder}/{prefix}" if prefix else folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path + "/")
                yield path, entry


class Seen:
    """What was seen at one path: `racy` as in `Artifact`."""

    __slots__ = ("digest", "racy", "signature", "size")

    def __init__(self, signature: str, digest: str, size: int, racy: bool) -> None:
        self.signature = signature
        self.digest = digest
        self.size = size
        self.racy = racy


class DigestCache:
    """Digests by absolute path, kept in one file between runs; a missing or damaged file is as good as an empty one.

    It is read when first asked and written by `save` only if something new was read. Two processes that save at once do
    no harm: an entry is believed only while the file's signature is the one it was made with.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries: dict[str, list[str]] | None = None
        self._used: set[str] = set()
        self._changed = False

    def get(self, path: str, signed: str) -> str | None:
        """The digest of the file at `path` when it had the signature `signed`."""
        entries = self._loaded()
        found = entries.get(path)
        if found is None or found[0] != signed:
            return None
        self._used.add(path)
        return found[1]

    def put(self, path: str, signed: str, digest: str) -> None:
        """Remember a digest."""
        self._loaded()[path] = [signed, digest]
        self._used.add(path)
        self._changed = True

    def save(self) -> None:
        """Write what is new; that it cannot be written is no error, since everything in it can be read again."""
        if not self._changed or self._entries is None:
            return
        if not os.path.isdir(os.path.dirname(os.path.dirname(self._path))):
            return  # no state folder yet: looking at a project leaves nothing behind
        import json
        from zlib import crc32

        entries = self._entries
        if len(entries) > _ENTRIES:
            entries = {path: entries[path] for path in self._used}
        body = json.dumps(entries, separators=(",", ":")).encode("ascii")
        temporary = f"{self._path}.{os.getpid()}.tmp"
        try:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(b"%08x\n%s" % (crc32(body), body))
            os.replace(temporary, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        self._changed = False

    def _loaded(self) -> dict[str, list[str]]:
        if self._entries is None:
            self._entries = _load(self._path)
        return self._entries


def _load(path: str) -> dict[str, list[str]]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    import json
    from zlib import crc32

    head, _, body = data.partition(b"\n")
    if head != b"%08x" % crc32(body):
        return {}
    try:
        entries = json.loads(body)
    except ValueError:
        return {}
    return entries if isinstance(entries, dict) else {}


def is_sound(path: str) -> bool:
    """Whether the cache at `path` is whole (or not there)."""
    from zlib import crc32

    try:
        with open(path, "rb") as file:
            head, _, body = file.read().partition(b"\n")
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return head == b"%08x" % crc32(body)


class Digester:
    """Looks at files and folders; reads a file only when neither `known` nor the cache vouches for it.

    `probe` is a writable folder in which to try, once, whether the file system's time stamps can be told apart.
    """

    def __init__(self, cache: DigestCache | None = None, probe: str = "") -> None:
        self.cache = cache
        self._probe = probe
        self._fine: int | None = None

    def look(self, path: str, known: Seen | None, *, cached: bool = True) -> Seen | None:
        """What stands at the absolute `path`, links followed; None if nothing does. `cached` False leaves the cache alone.

        Raises `FileError` (not permitted, or neither a file nor a folder) and `StateError`.
        """
        cache = self.cache if cached else None
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise file_error(error, path, "look at") from error
        try:
            if stat.S_ISREG(status.st_mode):
                return self._file(path, status, known, cache)
            if stat.S_ISDIR(status.st_mode):
                return self._folder(path, known, cache)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise file_error(error, path, "read") from error
        raise FileError(
            f"{path} is neither a file nor a folder", "a pipe, socket or device has no content to compare", path
        )

    def _file(self, path: str, status: os.stat_result, known: Seen | None, cache: DigestCache | None) -> Seen:
        signed = signature(status)
        if known is not None and known.signature == signed and not known.racy:
            return known
        if cache is not None and (digest := cache.get(path, signed)) is not None:
            return Seen(signed, digest, status.st_size, racy=False)
        looked = time.time_ns()
        digest = sha256_of(path)
        while (now := signature(status := os.stat(path))) != signed:  # it changed while it was read
            signed = now
            looked = time.time_ns()
            digest = sha256_of(path)
        racy = self._is_racy(status, looked)
        if cache is not None and not racy:
            cache.put(path, signed, digest)
        return Seen(signed, digest, status.st_size, racy)

    def _folder(self, folder: str, known: Seen | None, cache: DigestCache | None) -> Seen:
        from hashlib import sha256

        signed, entries, size = signed_folder(folder)
        if known is not None and known.signature == signed and not known.racy:
            return known
        content = sha256()
        racy = False
        for raw, entry, status in entries:
            line, risky = self._entry(raw, entry, status, cache)
            content.update(line)
            racy = racy or risky
        return Seen(signed, content.hexdigest(), size, racy)

    def _entry(
        self, raw: bytes, entry: os.DirEntry[str], status: os.stat_result | None, cache: DigestCache | None
    ) -> tuple[bytes, bool]:
        """The line that stands for one entry in its folder's digest, and whether it was racy."""
        kind, target = b"f", b""
        if entry.is_symlink():
            kind, target = b"l", os.fsencode(os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            kind = b"d"
        digest, racy = b"", False
        if status is not None:
            if kind == b"f" and not stat.S_ISREG(status.st_mode):
                raise FileError(
                    f"{entry.path} is neither a file nor a folder",
                    "a pipe, socket or device has no content",
                    entry.path,
                )
            seen = self._file(entry.path, status, None, cache)
            digest, racy = seen.digest.encode(), seen.racy
        return b"%s\0%s\0%s\0%s\n" % (kind, raw, target, digest), racy

    def _is_racy(self, status: os.stat_result, looked_ns: int) -> bool:
        if not is_racy(status, looked_ns):
            return False
        if self._fine is None:
            if not os.path.isdir(os.path.dirname(self._probe)):
                return True  # no state folder yet: looking at a project leaves nothing behind
            self._fine = fine_device(self._probe)
        return status.st_dev != self._fine or status.st_mtime_ns > looked_ns


def signed_folder(folder: str) -> tuple[str, list[tuple[bytes, os.DirEntry[str], os.stat_result | None]], int]:
    """The signature of a folder, what is below it in the order of its digest, and the bytes of all files. Raises `OSError`."""
    from hashlib import sha256

    entries = sorted(((os.fsencode(path), entry) for path, entry in walk(folder)), key=lambda pair: pair[0])
    found: list[tuple[bytes, os.DirEntry[str], os.stat_result | None]] = []
    signing = sha256()
    size = 0
    for raw, entry in entries:
        status, kind = _entry_status(entry)
        found.append((raw, entry, status))
        size += status.st_size if status is not None else 0
        signing.update(b"%s\0%s\0%s\n" % (kind, raw, signature(status).encode() if status is not None else b""))
    return signing.hexdigest(), found, size


def _entry_status(entry: os.DirEntry[str]) -> tuple[os.stat_result | None, bytes]:
    """The status of a file, or of the file that a link leads to; None for folders and links that lead to none."""
    if entry.is_symlink():
        if entry.is_file():
            return entry.stat(), b"l"
        return None, b"l"
    if entry.is_dir(follow_symlinks=False):
        return None, b"d"
    return entry.stat(follow_symlinks=False), b"f"


def fine_device(folder: str) -> int:
    """The device of `folder` if a change right after a look always shows in its times there, else 0.

    Linux 6.13 and later give a file that was looked at a time stamp of its own when it changes next; before that, changes
    within one tick of the kernel (up to 10 ms) look alike. Three changes a few microseconds apart tell.
    """
    path = f"{folder}/.grain-{os.getpid()}"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return 0
    try:
        times = []
        for _ in range(5):
            os.pwrite(fd, b"x", 0)
            status = os.fstat(fd)
            times.append((status.st_mtime_ns, status.st_ctime_ns))
        return status.st_dev if len({mtime for mtime, _ in times}) == len({ctime for _, ctime in times}) == 5 else 0
    except OSError:
        return 0
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(path)
