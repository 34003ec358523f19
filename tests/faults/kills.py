"""SIGKILL at random moments: to mlorch, to its supervisor, to both, to the whole tree of processes."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.place import STUCK, Tally
from tests.faults.project import FILES, FOLDERS, IN_PLACE, Project, read_folder, whole, whole_folder

if TYPE_CHECKING:
    from tests.faults.project import Worlds

MODES = ("mlorch", "supervisor", "both", "tree", "heir")
TITLES = {
    "mlorch": "kill -9 of mlorch",
    "supervisor": "kill -9 of its supervisor",
    "both": "kill -9 of both, in either order",
    "tree": "kill -9 of mlorch, supervisor and steps",
    "heir": "kill -9 of mlorch, then of its supervisor under the next mlorch",
}
ROUNDS_A_PROJECT = 12


class Watcher(threading.Thread):
    """A reader that looks at the outputs all the time and keeps whatever is not whole."""

    def __init__(self, project: Project) -> None:
        super().__init__(daemon=True)
        self._project = project
        self._over = threading.Event()
        self.seen = 0
        self.half: list[str] = []

    def run(self) -> None:
        """Look until `stop`."""
        files = sorted(path for path in FILES - IN_PLACE if path.split("/")[1] in self._project.pipelines)
        folders = sorted(path for path in FOLDERS - IN_PLACE if path.split("/")[1] in self._project.pipelines)
        while not self._over.wait(0.003):
            for path in files:
                with contextlib.suppress(OSError):
                    data = (self._project.folder / path).read_bytes()
                    self.seen += 1
                    if not whole(os.path.basename(path), data):
                        self.half.append(f"{path}: {len(data)} bytes")
            for path in folders:
                found = read_folder(self._project.folder / path)
                self.seen += found is not None
                if found is not None and not whole_folder(found):
                    self.half.append(f"{path}: {sorted(found)}")

    def stop(self, tally: Tally, what: str) -> None:
        """End it, and count what it saw."""
        self._over.set()
        self.join()
        for text in self.half:
            tally.note("half", f"{what}: seen from outside: {text}")


def children(pid: int) -> list[int]:
    """The children of a process, by /proc."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    return []


def supervisor_of(pid: int) -> int:
    """The supervisor that this mlorch started; 0 if there is none yet."""
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"supervisor/__main__.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return 0


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        found.extend(children(one))
    return found


def kill(*pids: int) -> int:
    """SIGKILL to each; how many of them were there."""
    hit = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, 9)
                hit += 1
    return hit


class Campaign:
    """Rounds of kills, each followed by runs until all is done, and by the count of what was promised."""

    def __init__(self, worlds: Worlds, seed: int, strikes: tuple[int, int]) -> None:
        """`strikes`: at least and at most so many kills a round."""
        self._worlds = worlds
        self._strikes = strikes
        self._random = random.Random(seed)
        self._length = 0.0
        self.tallies = {mode: Tally() for mode in MODES}

    def run(self, kills: int) -> dict[str, Tally]:
        """Until so many kills were made."""
        round_ = 0
        while sum(tally.times for tally in self.tallies.values()) < kills:
            project = self._worlds.make()
            self._length = self._measured(project)
            for _ in range(ROUNDS_A_PROJECT):
                mode = MODES[round_ % len(MODES)]
                round_ += 1
                self._round(project, mode, f"round {round_}")
                if sum(tally.times for tally in self.tallies.values()) >= kills:
                    break
            if self.tallies[mode].good:
                project.remove()
        return self.tallies

    @staticmethod
    def _measured(project: Project) -> float:
        """How long a command takes here and now, so that kills fall into its whole life."""
        began = time.monotonic()
        project.finish()
        return (time.monotonic() - began) / len(project.wanted())

    def _round(self, project: Project, mode: str, name: str) -> None:
        tally = self.tallies[mode]
        project.set_version(project.version + 1)
        watcher = Watcher(project)
        watcher.start()
        for _ in range(self._random.randint(*self._strikes)):
            self._strike(project, mode, tally, name)
        stopped = project.finish()
        watcher.stop(tally, name)
        what = f"{name} ({mode}, {project.base})"
        project.check(tally, what, stopped=stopped)
        if not stopped and self._random.random() < 0.25:
            project.nothing_to_do(tally, what)

    def _strike(self, project: Project, mode: str, tally: Tally, name: str) -> None:
        """Start a command and kill at some moment of its life."""
        words = self._random.choice(project.wanted())
        process = project.start(*words)
        try:
            self._until(process, mode)
            project.set_version(project.version + 1)  # all was done: give it something to do
        except subprocess.TimeoutExpired:
            tally.times += self._kill(project, process.pid, mode)
        if mode == "heir":
            process.wait()
            return
        try:
            code = process.wait(STUCK)
        except subprocess.TimeoutExpired:
            tally.note("unclear", f"{name} ({mode}): `mlorch {words[0]}` hangs: {project.said()[-1000:]}")
            kill(*tree(process.pid))
            process.wait()
            return
        if code not in (0, 1, -9):
            tally.note("unclear", f"{name} ({mode}): `mlorch {words[0]}` ends with {code}: {project.said()[-1500:]}")

    def _until(self, process: subprocess.Popen[bytes], mode: str) -> None:
        """Wait for a random moment; half of those that a supervisor is killed in are counted from its start."""
        if mode != "mlorch" and self._random.random() < 0.5:
            while process.poll() is None and not supervisor_of(process.pid):
                time.sleep(0.001)
            process.wait(self._random.uniform(0.0, 0.5) * self._length)
        else:
            process.wait(self._random.uniform(0.2, 1.1) * self._length)

    def _kill(self, project: Project, pid: int, mode: str) -> int:
        supervisor = supervisor_of(pid)
        if mode == "mlorch":
            return kill(pid)
        if mode == "supervisor":
            return kill(supervisor)
        if mode == "tree":
            pids = tree(pid)
            self._random.shuffle(pids)
            return min(1, kill(*pids))
        if mode == "both":
            pids = [pid, supervisor]
            self._random.shuffle(pids)
            return min(1, kill(*pids))
        hit = kill(pid)
        heir = project.start(*self._random.choice(project.wanted()))
        time.sleep(self._random.uniform(0.0, 0.3))
        hit += kill(supervisor) if supervisor and os.path.exists(f"/proc/{supervisor}") else 0
        time.sleep(self._random.uniform(0.0, 0.3))
        hit += kill(heir.pid) if heir.poll() is None else 0
        heir.wait()
        return hit
