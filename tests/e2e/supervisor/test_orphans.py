"""What outlives a killed mlorch is found by its records, by its session, or by the run's mark in its environment alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.orphans import LocalOrphans
from mlorch.executors.supervisor import proc
from mlorch.model.history import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Deserted:
    """A run whose mlorch is gone, and processes of it."""

    def __init__(self, folder: Path) -> None:
        self.run_id = folder.name
        self.record = folder / "records.jsonl"
        gone = subprocess.Popen(["true"])
        ticks = proc.start_ticks(gone.pid)
        gone.wait()
        self.run = RunRecord(self.run_id, "p", "", pid=gone.pid, start_ticks=ticks, boot_id=proc.boot_id())
        self.orphans = LocalOrphans(lambda _: str(self.record))
        self.processes: list[subprocess.Popen[bytes]] = []

    def process(
        self, script: str = "exec sleep 1000", *, marked: bool = True, session: bool = False
    ) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"]} | ({"MLORCH_RUN_ID": self.run_id} if marked else {})
        made = subprocess.Popen(["sh", "-c", script], env=env, start_new_session=session, stdout=subprocess.PIPE)
        self.processes.append(made)
        return made

    def started(self, process: subprocess.Popen[bytes], *, ended: bool, supervisor: int = 1) -> None:
        identity = {
            "boot_id": proc.boot_id(),
            "supervisor_pid": supervisor,
            "supervisor_ticks": proc.start_ticks(supervisor),
        }
        if supervisor == 1:
            identity["supervisor_ticks"] = 0
        start = {"type": "start", "token": "r/a/1", "pid": process.pid, "start_ticks": proc.start_ticks(process.pid)}
        lines = [start | identity | {"at": "now", "marks": []}]
        if ended:
            lines.append({"type": "end", "token": "r/a/1", "cause": "exit", "exit_code": 0})
        self.record.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def deserted(tmp_path: Path) -> Iterator[Deserted]:
    made = Deserted(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def test_a_process_that_no_record_tells_of_is_known_by_its_mark(
    deserted: Deserted, lives: Callable[[int], bool]
) -> None:
    unrecorded, stranger = deserted.process(), deserted.process(marked=False)
    deserted.orphans.end(deserted.run, 5.0)
    assert not lives(unrecorded.pid)
    assert lives(stranger.pid)


def test_a_daemon_of_a_step_whose_end_is_on_record_is_ended(deserted: Deserted, lives: Callable[[int], bool]) -> None:
    step = deserted.process("sleep 1000 & echo $!", marked=False, session=True)
    assert step.stdout is not None
    daemon = int(step.stdout.readline())
    deserted.started(step, ended=True)
    step.wait()
    assert deserted.orphans.find(deserted.run) == ()
    deserted.orphans.end(deserted.run, 5.0)
    assert not lives(daemon)


def test_one_that_ignores_term_is_killed_after_its_grace(deserted: Deserted, lives: Callable[[int], bool]) -> None:
    stubborn = deserted.process('trap "" TERM; echo ready; while :; do sleep 0.05; done')
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    deserted.orphans.end(deserted.run, 0.2)
    assert not lives(stubborn.pid)


def test_what_a_living_supervisor_watches_is_left_to_it(deserted: Deserted, lives: Callable[[int], bool]) -> None:
    watched = deserted.process()
    deserted.started(watched, ended=False, supervisor=os.getpid())
    deserted.orphans.end(deserted.run, 0.0)
    assert lives(watched.pid)
    [found] = deserted.orphans.find(deserted.run)
    assert (found.pid, found.watched) == (watched.pid, True)


def test_a_mlorch_that_ended_and_that_nobody_waited_for_is_gone(deserted: Deserted) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    run = RunRecord(
        deserted.run_id, "p", "", pid=zombie.pid, start_ticks=proc.start_ticks(zombie.pid), boot_id=proc.boot_id()
    )
    assert not deserted.orphans.deserted(run)
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert deserted.orphans.deserted(run)
    zombie.wait()
