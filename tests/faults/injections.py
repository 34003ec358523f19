"""System calls that fail, and kills between two of them: a small library plays both inside mlorch and its supervisor."""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.kills import Watcher
from tests.faults.place import Tally
from tests.faults.project import whole

if TYPE_CHECKING:
    from tests.faults.project import Worlds

CALLS = (
    "write",
    "pwrite",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename",
    "renameat2",
    "link",
    "unlink",
    "mkdir",
    "ftruncate",
    "open",
)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
REFUSALS = (errno.EACCES, errno.EBUSY, errno.EINVAL)
"""Of a rename. EINVAL is what a file system says that cannot exchange two names."""
TOGETHER = (
    ("data/chain/b.txt", "data/chain/other/b.txt"),
    ("data/diamond/left/part0", "data/diamond/left/part2", "data/diamond/left.txt"),
    ("data/inplace/folder/part0", "data/inplace/folder/part2", "data/inplace/staged.txt"),
)
"""Outputs of one step: all of them, or none."""
KEPT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is played. `do` is "error", "full" (once, or from then on), "short", "before", "after" or "torn"."""

    title: str
    who: str
    do: str
    share: int


FAULTS = (
    Fault("one call of mlorch fails (ENOSPC, EIO, EROFS, EDQUOT)", "main", "error", 5),
    Fault("one rename of mlorch is refused (EACCES, EBUSY, EINVAL)", "main", "refuse", 3),
    Fault("the disk fails from one call of mlorch on", "main", "full", 4),
    Fault("half a write of mlorch, then the disk is full", "main", "short", 1),
    Fault("one call of the supervisor fails", "supervisor", "error", 2),
    Fault("the disk fails from one call of the supervisor on", "supervisor", "full", 1),
    Fault("kill -9 of mlorch just before a call", "main", "before", 4),
    Fault("kill -9 of mlorch just after a call", "main", "after", 4),
    Fault("kill -9 of mlorch in the middle of a write", "main", "torn", 2),
    Fault("kill -9 of the supervisor before or after a call", "supervisor", "after", 2),
    Fault("kill -9 of the supervisor in the middle of a write", "supervisor", "torn", 1),
)
"""`share`: how many of 29."""


class Injections:
    """Plays faults one after the other in the same project, each on fresh work, and holds what comes after to the promises."""

    def __init__(self, worlds: Worlds, seed: int) -> None:
        self._worlds = worlds
        self._random = random.Random(seed)
        self._project = worlds.make("chain", "diamond", "inplace")
        self._words = self._project.wanted()[0]
        self._calls = {who: self._count(who) for who in ("main", "supervisor")}

    def run(self, total: int) -> dict[str, Tally]:
        """Play about `total` faults."""
        shares = sum(fault.share for fault in FAULTS)
        tallies = {}
        for fault in FAULTS:
            tally = tallies[fault.title] = Tally()
            for _ in range(max(1, round(total * fault.share / shares))):
                self._play(fault, tally)
        if all(tally.good for tally in tallies.values()):
            self._project.remove()
        return tallies

    def _environment(self, who: str, **more: str) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._worlds.library),
            "FAULT_ROOT": str(self._project.folder),
            "FAULT_PARENT": str(os.getpid()),
            "FAULT_WHO": who,
        } | more

    def _count(self, who: str) -> Counter[str]:
        """The calls that a run makes, once in a new project and once in one that has been used."""
        path = self._project.base / f"count-{who}"
        for _ in range(2):
            self._project.set_version(self._project.version + 1)
            path.unlink(missing_ok=True)
            code, said = self._project.run(*self._words, **self._environment(who, FAULT_COUNT=str(path)))
            if code:
                raise AssertionError(said)
        return Counter(path.read_text("ascii").split())

    def _choose(self, fault: Fault) -> dict[str, str]:
        """A call by its name (rare names as often as frequent ones), and what happens at it."""
        counts = self._calls[fault.who]
        names = [name for name in CALLS if counts[name]]
        if fault.do in ("short", "torn"):
            names = [name for name in names if name in ("write", "pwrite")]
        if fault.do == "refuse":
            names = [name for name in names if name.startswith("rename")]
        name = self._random.choice(names)
        chosen = {"FAULT_CALL": name, "FAULT_AT": str(self._random.randint(1, counts[name]))}
        if fault.do in ("error", "full"):
            chosen["FAULT_DO"] = str(self._random.choice(ERRORS))
        elif fault.do == "refuse":
            chosen["FAULT_DO"] = str(self._random.choice(REFUSALS))
        elif fault.do == "after":
            chosen["FAULT_DO"] = self._random.choice(("after", "before")) if fault.who == "supervisor" else "after"
        else:
            chosen["FAULT_DO"] = fault.do
        if fault.do == "full":
            chosen["FAULT_STICKY"] = "1"
        return chosen

    def _play(self, fault: Fault, tally: Tally) -> None:
        project = self._project
        project.set_version(project.version + 1)
        chosen = self._choose(fault)
        what = f"{fault.who} {' '.join(f'{k[6:]}={v}' for k, v in chosen.items())} (version {project.version})"
        known = {event["run_id"] for event in project.done().values()}
        watcher = Watcher(project)
        watcher.start()
        code, said = project.run(*self._words, **self._environment(fault.who, **chosen))
        tally.times += 1
        self._judge(fault, tally, what, code, said)
        self._hold_records(tally, what, known)
        if code in (0, 1):
            self._hold_sets(tally, what)
        stopped = project.finish()
        watcher.stop(tally, what)
        project.check(tally, what, stopped=stopped)

    def _judge(self, fault: Fault, tally: Tally, what: str, code: int, said: str) -> None:
        """Was the end of the command that met the fault clear?"""
        project = self._project
        killed = fault.do in ("before", "after", "torn")
        if code == -9 and killed and fault.who == "main":
            return
        if "Traceback" in said or code not in (0, 1, 3, 9):
            tally.note("unclear", f"{what}: ends with {code}: {said[-1500:]}")
        elif code == 9:
            error = said.partition("error: ")[2].splitlines()
            if (
                len(error) < 2
                or not any(word in error[0] for word in (str(project.folder), "data/"))
                or not error[1].startswith("  ")
            ):
                tally.note("unclear", f"{what}: the message names no file or no remedy: {said[-600:]}")
        elif code == 3 and ".yaml" not in said:
            tally.note("unclear", f"{what}: ends with 3: {said[-600:]}")
        elif code == 1 and not killed and "/" not in said:
            tally.note("unclear", f"{what}: the failure names no file: {said[-600:]}")
        if code != -9 and fault.who == "main" and (living := project.living()):
            tally.note("left", f"{what}: ends with {code} while processes {living} of it live")

    def _hold_sets(self, tally: Tally, what: str) -> None:
        """Outputs of one step stand there together, of one version."""
        for paths in TOGETHER:
            there = [path for name in paths if (path := self._project.folder / name).exists()]
            versions = [path.read_bytes().split(b"\n", 1)[0] for path in there]
            if len(set(versions)) > 1 or len(there) not in (0, len(paths)):
                tally.note("half", f"{what}: {', '.join(paths)} are of versions {versions}")

    def _hold_records(self, tally: Tally, what: str, known: set[str]) -> None:
        """What the command recorded as done stands there whole, in the version of this round."""
        project = self._project
        for step, event in project.done().items():
            if event["run_id"] in known:
                continue
            for artifact in event["outputs"]:
                path = project.folder / artifact["path"]
                if path.is_file():
                    data = path.read_bytes()
                    good = whole(path.name, data) and data.startswith(f"{project.version}\n".encode())
                else:
                    good = path.is_dir() or path.name == "temp.txt"
                if not good:
                    tally.note("lost", f"{what}: {step} is recorded as done, and {artifact['path']} is not")
