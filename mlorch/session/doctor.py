"""`mlorch doctor --state`: the state folder and all in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mlorch.executors.orphans import LocalOrphans
from mlorch.executors.records import torn_lines
from mlorch.model.errors import StateError
from mlorch.model.findings import Area, Finding, Level
from mlorch.model.history import RunRecord
from mlorch.session.compaction import remove_tree
from mlorch.session.examine import JournalDoctor
from mlorch.world import locks
from mlorch.world.digests import is_sound
from mlorch.world.journal import make_reserve
from mlorch.world.layout import RESERVE_BYTES, decode_name, network_kind
from mlorch.world.machine import same_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlorch.model.events import RunStarted
    from mlorch.world.layout import StateLayout

_LITTLE = 256 * 1024 * 1024
_MIB = 1024 * 1024
_SHOWN = 5
_REPAIRS = "`mlorch doctor --repair`"


def _ok(message: str) -> Finding:
    return Finding(Area.STATE, Level.OK, message)


def _warning(message: str, remedy: str, file: str = "", mended: str = "") -> Finding:
    return Finding(Area.STATE, Level.WARNING, message, remedy, file, mended=mended)


def _problem(message: str, remedy: str, file: str = "") -> Finding:
    return Finding(Area.STATE, Level.PROBLEM, message, remedy, file)


class StateDoctor:
    """Looks at one state folder. Takes no lock and changes nothing, unless `repair`: then each partition's in its turn.

    `root` is the project's folder, `now` gives ISO 8601 UTC.
    """

    def __init__(
        self,
        root: str,
        layout: StateLayout,
        now: Callable[[], str],
        *,
        allow_network: bool = False,
        repair: bool = False,
    ) -> None:
        self._root = root
        self._layout = layout
        self._allow_network = allow_network
        self._repair = repair
        self._journals = JournalDoctor(layout, now, repair=repair)

    def findings(self) -> Iterator[Finding]:
        """Everything that was looked at, in the order of looking. A disk that fails is a finding, too."""
        folder = self._layout.root
        if not os.path.lexists(folder):
            yield _ok(f"no state yet: {folder} is made by the first run")
            return
        for found in self._folder():
            yield found
            if found.damage:
                return
        parts = (
            self._room,
            self._journals.findings,
            self._strangers,
            self._locks,
            self._pools,
            self._cut_off,
            self._runs,
            self._staging,
            self._cache,
        )
        for part in parts:
            try:
                yield from part()
            except StateError as error:
                yield _problem(error.message, error.hint)

    def _folder(self) -> Iterator[Finding]:
        folder = self._layout.root
        wrong = _unusable(folder)
        if wrong is not None:
            yield wrong
            return
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        if mode & 0o077:
            mended = ""
            if self._repair:
                os.chmod(folder, 0o700)
                mended = "its mode is 0700 now"
            what = f"others may enter the state folder {folder} (mode {mode:04o})"
            yield _warning(what, f"chmod 700 {folder}", folder, mended)
        try:
            self._layout.check()
        except StateError as error:
            yield _problem(error.message, error.hint)
            return
        kind = network_kind(folder)
        if kind and not self._allow_network:
            yield _problem(
                f"the state folder {folder} lies on a network file system ({kind}), where locks between processes cannot be trusted",
                "set `state:` in mlorch.yaml to a folder on a local disk, or `allow_network_state: true` if only one machine ever uses it",
            )
        elif kind:
            yield _warning(
                f"the state folder lies on a network file system ({kind}), allowed by `allow_network_state`",
                "see that only one machine ever uses it",
            )
        else:
            yield _ok(f"the state folder {folder} lies on a local file system")

    def _room(self) -> Iterator[Finding]:
        folder = self._layout.root
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        if free < RESERVE_BYTES or (disk.f_files and not disk.f_favail):
            what = "no room" if free < RESERVE_BYTES else "no inodes"
            yield _problem(f"the disk of {folder} has {what} left", "free some (`df -h`, `df -i`, `mlorch gc`)")
        elif free < _LITTLE:
            what = f"the disk of {folder} has only {free // _MIB} MiB left"
            yield _warning(what, "free some (`df -h`, `mlorch gc`)")
        else:
            yield _ok(f"the disk of the state folder has {free // _MIB:,} MiB left")
        try:
            size = os.stat(self._layout.reserve).st_blocks * 512
        except OSError:
            size = 0
        if size < RESERVE_BYTES and os.path.isdir(f"{folder}/state"):
            mended = "made" if self._repair and make_reserve(self._layout.reserve) else ""
            yield _warning(
                f"{self._layout.reserve} is not there: the last records of a run may not fit on a full disk",
                f"free some space; the next run makes it, and so does {_REPAIRS}",
                self._layout.reserve,
                mended,
            )

    def _strangers(self) -> Iterator[Finding]:
        folder = f"{self._layout.root}/state"
        if not os.path.isdir(folder):
            return
        strange = [name for name in os.listdir(folder) if decode_name(name) is None]
        if strange:
            yield _warning(f"{folder} holds what is not mlorch's: {_some(strange)}", "move it away", folder)
        for pipeline in self._layout.pipelines():
            below = os.path.dirname(self._layout.partition(pipeline, ""))
            lost = len(os.listdir(below)) - len(self._layout.partitions(pipeline))
            if lost:
                what = "1 folder whose partition" if lost == 1 else f"{lost} folders whose partitions"
                remedy = "move them away: what they hold counts as not done"
                yield _problem(f"{below} holds {what} cannot be told", remedy, below)

    def _locks(self) -> Iterator[Finding]:
        held = locks.held_inodes()
        count = 0
        for pipeline in self._layout.pipelines():
            for key in self._layout.partitions(pipeline):
                path = self._layout.lock(pipeline, key)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                if not stat.S_ISREG(status.st_mode):
                    yield _problem(f"the lock {path} is not a file", f"move it away: mv {path} {path}.odd", path)
                elif (status.st_dev, status.st_ino) in held:
                    count += 1
                    if count <= _SHOWN:
                        holder = locks.LockFile(path).holder() or "somebody"
                        yield _ok(f"{pipeline} {key}".rstrip() + f" is held by {holder}")
        if count > _SHOWN:
            yield _ok(f"{count - _SHOWN} more partitions are held")

    def _pools(self) -> Iterator[Finding]:
        held = locks.held_inodes()
        for parent, kind in ((self._layout.pools, "pool"), (self._layout.groups, "concurrency group")):
            for name in sorted(os.listdir(parent)) if os.path.isdir(parent) else ():
                folder = f"{parent}/{name}"
                what = f"the {kind} {decode_name(name) or 'of all runs'}"
                for slot in sorted(filter(str.isdecimal, os.listdir(folder)), key=int) if os.path.isdir(folder) else ():
                    path = f"{folder}/{slot}"
                    status = os.lstat(path)
                    if not stat.S_ISREG(status.st_mode):
                        yield _problem(f"the slot {path} is not a file", f"move it away: mv {path} {path}.odd", path)
                    elif (status.st_dev, status.st_ino) in held:
                        yield _ok(f"a slot of {what} is held by {locks.LockFile(path).holder() or 'somebody'}")

    def _cut_off(self) -> Iterator[Finding]:
        orphans = LocalOrphans(self._layout.records)
        for start in self._journals.cut_off:
            name = f"{start.pipeline} {start.partition}".rstrip()
            again = f"`mlorch run {start.pipeline}" + (f" -p {start.partition}`" if start.partition else "`")
            if same_process(start.pid, start.start_ticks, start.boot_id):
                yield _ok(f"run {start.run_id} of {name} goes on (pid {start.pid})")
                continue
            alive = orphans.find(_record(start))
            for orphan in alive:
                yield _warning(
                    f"step {orphan.token.split('/')[1]} of run {start.run_id} outlived its mlorch (pid {orphan.pid}, since {orphan.at})",
                    f"{again} waits for it and takes its result; with --orphans kill it is ended",
                )
            if not alive:
                yield _warning(
                    f"run {start.run_id} of {name} was cut off: process {start.pid} ended without a word",
                    f"{again} recovers it; what was done stays done",
                )

    def _runs(self) -> Iterator[Finding]:
        there = self._layout.run_ids()
        known = self._journals.runs
        unknown = [run_id for run_id in there if run_id not in known]
        if unknown:
            what = f"{_folders(len(unknown))} of runs that no journal knows: {_some(unknown)}"
            yield _warning(what, "`mlorch gc` removes them once they are old")
        missing = sorted(known.difference(there))
        if missing:
            what = f"{_folders(len(missing))} of runs (logs, spec) missing: {_some(missing)}"
            yield _warning(what, "nothing that is done depends on them; `mlorch gc` forgets such runs in time")
        torn = [run_id for run_id in there if run_id in known and torn_lines(self._layout.records(run_id))]
        if torn:
            what = f"{_folders(len(torn))} with lines in records.jsonl that are not whole: {_some(torn)}"
            yield _warning(what, "such lines are left out; what they told counts as unknown")
        yield _ok(f"{_folders(len(there))} of runs")

    def _staging(self) -> Iterator[Finding]:
        for folder, run_id in self._left_over():
            mended = ""
            if run_id in self._journals.lost and run_id not in self._journals.aside:
                yield _ok(
                    f"{folder} holds results of run {run_id}, which was cut off: the next run of their steps takes them"
                )
                continue
            remedy = f"{_REPAIRS} removes it"
            if run_id in self._journals.aside:
                remedy = "look into it: it may hold the former content of an `in_place` output; then remove it"
            elif self._repair:
                remove_tree(folder)
                mended = "removed"
            yield _warning(f"{folder} is left from run {run_id}, which is over", remedy, folder, mended)

    def _left_over(self) -> Iterator[tuple[str, str]]:
        """Staging folders of runs that are over, beside the outputs that journals know of."""
        for parent in sorted(self._journals.staging):
            folder = os.path.join(self._root, parent)
            try:
                names = sorted(name for name in os.listdir(folder) if name.startswith(".mlorch-"))
            except OSError:
                continue
            for name in names:
                run_id = name.removeprefix(".mlorch-")
                if run_id in self._journals.over:
                    yield os.path.join(folder, name), run_id

    def _cache(self) -> Iterator[Finding]:
        path = f"{self._layout.cache}/digests"
        if is_sound(path):
            return
        mended = ""
        if self._repair:
            os.unlink(path)
            mended = "removed"
        yield _warning(
            f"the cache of digests {path} is damaged, and not used",
            f"nothing is lost: the next run makes it anew; {_REPAIRS} removes it",
            path,
            mended,
        )


def _unusable(folder: str) -> Finding | None:
    """Why a folder cannot be the state folder, if so."""
    try:
        status = os.stat(folder)
    except OSError as error:
        return _problem(f"the state folder {folder} cannot be used: {error.strerror}", f"see `ls -ld {folder}`", folder)
    if not stat.S_ISDIR(status.st_mode):
        return _problem(f"{folder} is not a folder", "move it away, or set `state:` in mlorch.yaml", folder)
    if status.st_uid != os.geteuid():
        return _problem(
            f"the state folder {folder} belongs to another user (uid {status.st_uid}, you are {os.geteuid()})",
            f"run as that user, or take it over: chown -R {os.geteuid()} {folder}",
            folder,
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return _problem(f"you may not read and write the state folder {folder}", f"chmod 700 {folder}", folder)
    return None


def _record(start: RunStarted) -> RunRecord:
    return RunRecord(
        start.run_id,
        start.pipeline,
        start.partition,
        pid=start.pid,
        start_ticks=start.start_ticks,
        boot_id=start.boot_id,
    )


def _folders(count: int) -> str:
    return "1 folder" if count == 1 else f"{count:,} folders"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
