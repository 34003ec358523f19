"""Full and read-only disks, somebody else's state, many at once, damaged journals, a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from typing import TYPE_CHECKING

from tests.faults.place import Tally
from tests.faults.project import HEAD, Project, content, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.project import Worlds

CROWD = 20
FEW = 5
SIZE_KB = 4096
MANY = """\
name: many
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-20}
steps:
  make: {run: [STEP, -i, data/in.txt, -t, '5', '${{ outputs.x }}'], inputs: {i: data/in.txt},
         outputs: {x: 'data/many/${{ partition.key }}.txt'}}
"""
TIMED = """\
name: timed
steps:
  short: {run: [STEP, -i, data/in.txt, -t, '1500', '${{ outputs.x }}'], inputs: {i: data/in.txt}, timeout: 30s,
          outputs: {x: data/timed/short.txt}}
  long: {run: [sleep, '60'], needs: [short], timeout: 1s, grace: 1s}
"""


class Others:
    """Each method is one row of the table: a title and its tally, or the reason why it could not be tried."""

    def __init__(self, worlds: Worlds, seed: int, *, long: bool) -> None:
        self._worlds = worlds
        self._random = random.Random(seed)
        self._long = long
        self._many = CROWD if long else FEW

    def rows(self) -> Iterator[tuple[str, Tally | str]]:
        """All of them."""
        row: Callable[[], Tally | str]
        for title, row in (
            ("a full disk (tmpfs with a little room left)", self.full_disk),
            ("a disk mounted read-only", self.read_only),
            ("a state folder of another user", self.another_user),
            (f"{self._many} runs of one pipeline at once", self.crowd),
            (f"{self._many} runs of different partitions at once", self.partitions),
            ("a journal cut anywhere", self.cut_journals),
            ("a journal with a flipped bit", self.flipped_bits),
            ("the clock jumps while a step runs", self.clock),
        ):
            yield title, row()

    def _on_tmpfs(self) -> tuple[Project, Path] | str:
        """A project on a small file system of its own, or why there is none."""
        if os.geteuid():
            return "needs root to mount"
        project = self._worlds.make("chain", "diamond")
        inside = project.folder.with_name("filled")
        project.folder.rename(inside)
        project.folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k", "tmpfs", project.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"cannot mount here: {done.stderr.strip()}"
        for path in inside.iterdir():
            subprocess.run(["cp", "-r", path, project.folder], check=True)
        return project, project.folder

    @staticmethod
    def _unmount(folder: Path) -> None:
        subprocess.run(["umount", "-l", folder], check=True)

    def full_disk(self) -> Tally | str:
        """Room for a few kilobytes, less each time."""
        made = self._on_tmpfs()
        if isinstance(made, str):
            return made
        project, folder = made
        tally = Tally()
        try:
            for room in [0, 4, 16, *(self._random.randint(1, 120) for _ in range(20))][: 23 if self._long else 2]:
                project.set_version(project.version + 1)
                free = os.statvfs(folder)
                ballast = max(0, free.f_bavail * free.f_frsize // 1024 - room)
                with open(folder / "ballast", "wb") as file, contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, ballast * 1024) if ballast else None
                code, said = project.run(*project.wanted()[0])
                tally.times += 1
                what = f"{room} KiB free (version {project.version})"
                if code == 9 and ("error: " not in said or "free some space" not in said):
                    tally.note("unclear", f"{what}: ends with 9 and says: {said[-500:]}")
                elif code not in (0, 1, 9):
                    tally.note("unclear", f"{what}: ends with {code}: {said[-1000:]}")
                for path in sorted(folder.glob("data/*/*.txt")):
                    if not whole(path.name, path.read_bytes()):
                        tally.note("half", f"{what}: {path} is not whole")
                (folder / "ballast").unlink()
                project.check(tally, what, stopped=project.finish())
        finally:
            self._unmount(folder)
        return tally

    def read_only(self) -> Tally | str:
        """Nothing can be written; what is done stays known."""
        made = self._on_tmpfs()
        if isinstance(made, str):
            return made
        project, folder = made
        tally = Tally(times=2)
        try:
            first = project.finish()
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            code, said = project.run(*project.wanted()[0])
            if code or first:
                tally.note("unclear", f"nothing to do on a read-only disk ends with {code}: {first}{said[-600:]}")
            code, said = project.run(*project.wanted()[0], "--force")
            if code != 9 or "read-only" not in said or str(folder) not in said:
                tally.note("unclear", f"a run on a read-only disk ends with {code}: {said[-600:]}")
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
            project.check(tally, "writable again", stopped=project.finish())
        finally:
            self._unmount(folder)
        return tally

    def another_user(self) -> Tally | str:
        """Whose state is not ours is not touched."""
        if os.geteuid():
            return "needs root to give a folder away"
        project = self._worlds.make("chain")
        tally = Tally(times=1)
        first = project.finish()
        project.set_version(2)
        os.chown(project.folder / ".mlorch", 12345, 12345)
        before = len(project.ledger())
        code, said = project.run(*project.wanted()[0])
        if code != 9 or "another user" not in said or "chown" not in said or len(project.ledger()) != before:
            tally.note("unclear", f"ends with {code}: {said[-600:]}")
        os.chown(project.folder / ".mlorch", os.geteuid(), os.getegid())
        project.check(tally, "given back", stopped=first or project.finish())
        return tally

    def crowd(self) -> Tally:
        """The same call by many at once: each step runs once."""
        tally = Tally()
        for _ in range(2 if self._long else 1):
            project = self._worlds.make("chain", "diamond", "inplace")
            words = project.wanted()[0]
            codes = self._together(project, [words] * self._many)
            tally.times += self._many
            if any(codes):
                tally.note("unclear", f"end with {codes}")
            project.check(tally, "many at once")
            ends = [line.step for line in project.ledger() if line.what == "end"]
            if len(ends) != len(set(ends)):
                tally.note("repeated", f"many at once: {sorted(ends)}")
        return tally

    def partitions(self) -> Tally:
        """Many partitions of a pipeline, each by a process of its own."""
        project = self._with(MANY, "many")
        days = [f"2013-01-{day:02}" for day in range(1, self._many + 1)]
        codes = self._together(project, [("run", "many", "-p", day) for day in days])
        tally = Tally(times=self._many)
        if any(codes):
            tally.note("unclear", f"end with {codes}")
        for day in days:
            path = project.folder / "data" / "many" / f"{day}.txt"
            if not path.exists() or path.read_bytes() != content(path.name, 1):
                tally.note("lost", f"{path} is not as it should be")
        ends = [line.step for line in project.ledger() if line.what == "end"]
        if len(ends) != len(set(ends)):
            tally.note("repeated", f"{sorted(ends)}")
        project.check_left(tally, "different partitions")
        return tally

    @staticmethod
    def _together(project: Project, calls: list[tuple[str, ...]]) -> list[int]:
        processes = [project.start(*words) for words in calls]
        return [process.wait() for process in processes]

    def _with(self, text: str, name: str) -> Project:
        project = self._worlds.make("chain")
        (project.folder / "pipelines" / "chain.yaml").unlink()
        full = HEAD + text.replace("STEP", str(self._worlds.step))
        (project.folder / "pipelines" / f"{name}.yaml").write_text(full, "utf-8")
        return project

    def cut_journals(self) -> Tally:
        """The journal ends somewhere: what the rest said is done again, and nothing else."""
        project = self._worlds.make("chain")
        tally = Tally()
        first = project.finish()
        [path] = project.folder.glob(".mlorch/state/chain/_/journal.jsonl")
        for _ in range(60 if self._long else 2):
            data = path.read_bytes()
            cut = self._random.randrange(len(data))
            path.write_bytes(data[:cut])
            known = {event["step"] for event in project.done().values()}
            before = len(project.ledger())
            what = f"cut at byte {cut} of {len(data)}"
            tally.times += 1
            project.check(tally, what, stopped=first or project.finish(), repeats=False)
            again = {line.step.rsplit("/", 1)[1] for line in project.ledger()[before:] if line.what == "end"}
            if again & known:
                tally.note("repeated", f"{what}: {again & known}, which the rest of the journal still says is done")
        return tally

    def flipped_bits(self) -> Tally:
        """A damaged line never counts as done; it is told with its place and the command that repairs it."""
        project = self._worlds.make("chain")
        tally = Tally()
        first = project.finish()
        [path] = project.folder.glob(".mlorch/state/chain/_/journal.jsonl")
        data = path.read_bytes()
        last = data.rstrip(b"\n").rfind(b"\n")
        for _ in range(60 if self._long else 2):
            place = self._random.randrange(len(data))
            bad = bytearray(data)
            bad[place] ^= 1 << self._random.randrange(8)
            path.write_bytes(bad)
            before = len(project.ledger())
            code, said = project.run(*project.wanted()[0])
            tally.times += 1
            what = f"bit of byte {place} of {len(data)} flipped"
            if first or (place <= last and (code != 9 or str(path) not in said or "mlorch doctor" not in said)):
                tally.note("unclear", f"{what}: ends with {code}: {first}{said[-500:]}")
            if place > last and code:
                tally.note("unclear", f"{what} (in the last record): ends with {code}: {said[-500:]}")
            if len(project.ledger()) != before and place <= last:
                tally.note("repeated", f"{what}: something ran")
            path.write_bytes(data)
        project.check(tally, "put back", stopped=project.finish())
        return tally

    def clock(self) -> Tally:
        """Time-outs follow the monotonic clock, whatever the time of day does."""
        tally = Tally()
        for jump in (86400, -86400) if self._long else (86400,):
            project = self._with(TIMED, "timed")
            env = {
                "LD_PRELOAD": str(self._worlds.library),
                "FAULT_ROOT": str(project.folder),
                "FAULT_PARENT": str(os.getpid()),
                "FAULT_WHO": "all",
                "FAULT_CLOCK": str(jump),
                "FAULT_CLOCK_AFTER": "700",
            }
            began = time.monotonic()
            code, said = project.run("run", "timed", **env)
            took = time.monotonic() - began
            tally.times += 1
            done = project.done()
            if "timed/_/short" not in done or not 1 < done["timed/_/short"]["duration_s"] < 20:
                tally.note("lost", f"a jump of {jump} s: the short step did not end well: {said[-500:]}")
            if code != 1 or "timed out" not in said or took > 20:
                tally.note("unclear", f"a jump of {jump} s: ends with {code} after {took:.1f} s: {said[-500:]}")
            project.check_left(tally, f"a jump of {jump} s")
        return tally
