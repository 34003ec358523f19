"""Somebody is killed: mlorch, its supervisor, a step. Nothing is lost, nothing is left, nothing stays locked."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mlorch.executors.local import LocalExecutor
from mlorch.executors.records import StartRecord, alive, end_by_identity, read_records, watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A small mlorch of its own process: submits one attempt and waits for ever. Holds the lock that it lends.
PARENT = """
import fcntl, os, sys
from mlorch.executors.local import LocalExecutor
from mlorch.model.attempt import AttemptRequest
folder, script, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
lock = os.open(folder + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
env = (("MLORCH_RUN_ID", os.path.basename(folder)), ("MLORCH_STEP", "a"))
executor = LocalExecutor()
for name in sys.argv[4:] or ["a"]:
    executor.submit(AttemptRequest(name, ("sh", "-c", script), env, folder, folder + "/a.log", folder + "/records.jsonl",
                                   timeout=timeout, grace=0.2, lends=(lock,), slots=1))
while True:
    executor.poll(None)
"""


class Parent:
    def __init__(self, folder: Path, patience: Callable[[Callable[[], object]], None]) -> None:
        self.folder = folder
        self.record = str(folder / "records.jsonl")
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, script: str, timeout: float = 1000.0, names: tuple[str, ...] = ("a",)) -> StartRecord:
        argv = [sys.executable, "-c", PARENT, str(self.folder), script, str(timeout), *names]
        self._process = subprocess.Popen(argv, cwd=os.getcwd(), env=os.environ | {"PYTHONPATH": os.getcwd()})
        self._patience(lambda: self._start() is not None)
        start = self._start()
        assert start is not None
        return start

    def _start(self) -> StartRecord | None:
        return read_records(self.record).get("a", (None, None))[0]

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def ended(self) -> Any:
        self._patience(lambda: read_records(self.record)["a"][1] is not None)
        return read_records(self.record)["a"][1]

    def locked(self) -> bool:
        with open(self.folder / "lock", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False


@pytest.fixture
def parent(tmp_path: Path, patience: Callable[[Callable[[], object]], None]) -> Any:
    made = Parent(tmp_path, patience)
    yield made
    made.kill()
    start = made._start()
    if start is not None:
        end_by_identity(start, 0.0)


def test_a_step_outlives_a_killed_mlorch_and_its_end_is_recorded(
    parent: Parent, patience: Callable[[Callable[[], object]], None]
) -> None:
    start = parent.start("echo before; until [ -e go ]; do sleep 0.01; done; echo after; exit 7")
    assert parent.locked()
    parent.kill()
    assert alive(start)
    assert watched(start)
    assert parent.locked(), "the lock lives as long as the work"
    (parent.folder / "go").touch()
    done = parent.ended()
    assert (done.cause, done.exit_code) == ("exit", 7)
    assert (parent.folder / "a.log").read_bytes() == b"before\nafter\n"
    patience(lambda: not watched(start))
    assert not alive(start)
    assert not parent.locked()


def test_a_killed_mlorch_leaves_the_time_out_enforced(parent: Parent) -> None:
    parent.start("trap '' TERM; while :; do sleep 1000; done", timeout=1.0)
    parent.kill()
    done = parent.ended()
    assert (done.cause, done.signal) == ("timeout", "SIGKILL")


def test_daemons_of_a_step_that_outlived_its_mlorch_end_too(
    parent: Parent,
    lives: Callable[[int], bool],
    number: Callable[[Path], int],
    patience: Callable[[Callable[[], object]], None],
) -> None:
    start = parent.start("setsid --fork sh -c 'echo $$ > pid; exec sleep 1000'; until [ -e go ]; do sleep 0.01; done")
    daemon = number(parent.folder / "pid")
    parent.kill()
    (parent.folder / "go").touch()
    patience(lambda: not watched(start))
    assert not lives(daemon)
    assert not parent.locked()


def test_what_waited_for_a_slot_of_a_killed_mlorch_never_starts(
    parent: Parent, patience: Callable[[Callable[[], object]], None]
) -> None:
    start = parent.start("echo begun >> begun; until [ -e go ]; do sleep 0.01; done", names=("a", "b"))
    parent.kill()
    (parent.folder / "go").touch()
    patience(lambda: not watched(start))
    assert (parent.folder / "begun").read_text() == "begun\n"
    assert "b" not in read_records(parent.record)
    assert not parent.locked()


def test_term_to_the_supervisor_of_a_killed_mlorch_ends_its_steps(parent: Parent) -> None:
    start = parent.start("sleep 1000")
    parent.kill()
    os.kill(start.supervisor_pid, signal.SIGINT)
    os.kill(start.supervisor_pid, signal.SIGHUP)
    os.kill(start.supervisor_pid, signal.SIGTERM)
    done = parent.ended()
    assert (done.cause, done.signal) == ("cancelled", "SIGTERM")


def test_both_killed_the_step_is_ended_by_its_identity(
    parent: Parent, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    start = parent.start(
        "setsid --fork sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1000; done'; sleep 1000"
    )
    daemon = number(parent.folder / "pid")
    parent.kill()
    os.kill(start.supervisor_pid, signal.SIGKILL)
    assert alive(start)
    assert parent.locked()
    began = time.monotonic()
    end_by_identity(start, 0.2)
    assert time.monotonic() - began >= 0.2, "the daemon had its grace"
    assert not alive(start)
    assert not lives(daemon)
    assert not parent.locked()


def test_a_stranger_with_the_same_number_is_left_alone(parent: Parent) -> None:
    start = parent.start("sleep 1000")
    other = StartRecord("x", start.pid, start.start_ticks - 1, start.boot_id, start.at, 1, 1)
    assert not alive(other)
    end_by_identity(other, 0.0)
    assert alive(start)
    former_boot = StartRecord("x", start.pid, start.start_ticks, "another-boot", start.at, 1, 1, start.marks)
    assert not alive(former_boot)
    end_by_identity(former_boot, 0.0)
    assert alive(start)


def test_a_killed_supervisor_makes_its_attempts_lost_and_the_next_one_starts(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    bench.submit("a", "setsid --fork sh -c 'echo $$ > pid; exec sleep 1000'; sleep 1000")
    bench.submit("b", "trap '' TERM; echo $$ > b; while :; do sleep 1000; done", grace=0.1)
    daemon, stubborn = number(bench.folder / "pid"), number(bench.folder / "b")
    bench.until(lambda: bench.running.keys() == {"a", "b"})
    former = bench.executor.supervisor_pid
    os.kill(former, signal.SIGKILL)
    for name in ("a", "b"):
        done = bench.end(name)
        assert (done.cause, done.exit_code, done.signal) == ("lost", None, "")
        assert not lives(bench.running[name].pid)
    assert not lives(daemon)
    assert not lives(stubborn)
    assert bench.run("c", ("true",)).exit_code == 0
    assert bench.executor.supervisor_pid != former


def test_an_end_that_a_killed_supervisor_had_recorded_counts(
    bench: Any, lives: Callable[[int], bool], number: Callable[[Path], int]
) -> None:
    script = "setsid --fork sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1000; done'; until [ -s pid ]; do :; done"
    bench.submit("a", script, grace=1000.0)
    daemon = number(bench.folder / "pid")
    bench.until(lambda: b'"end"' in bench.record.read_bytes())
    os.kill(bench.executor.supervisor_pid, signal.SIGKILL)
    bench.until(lambda: not bench.executor.supervisor_pid)
    bench.executor.cancel("a", hurry=True)
    done = bench.end("a")
    assert (done.cause, done.exit_code) == ("exit", 0)
    assert not lives(daemon)


def test_submitted_to_a_supervisor_that_is_gone(bench: Any) -> None:
    bench.run("a", ("true",))
    os.kill(bench.executor.supervisor_pid, signal.SIGKILL)
    bench.submit("b", ("true",))
    assert bench.end("b").cause in ("lost", "exit")
    assert bench.run("c", ("true",)).exit_code == 0


def test_a_record_on_a_full_disk_is_said(bench: Any) -> None:
    done = bench.run("a", "exit 3", record="/dev/full")
    assert done.exit_code == 3
    assert "No space left" in done.record_error
    assert "/dev/full" in done.record_error
    assert bench.run("b", "exit 3").record_error == ""


def test_a_log_on_a_full_disk_does_not_stop_a_masked_step(bench: Any) -> None:
    done = bench.run("a", "seq 1 100000; exit 3", log="/dev/full", masks=(b"never-printed",))
    assert done.exit_code == 3
    assert "No space left" in done.record_error


def test_close_lets_run_what_runs(bench: Any, patience: Callable[[Callable[[], object]], None]) -> None:
    executor = LocalExecutor()
    executor.submit(bench.request("a", "until [ -e go ]; do sleep 0.01; done; exit 6"))
    patience(lambda: executor.poll(0.02))
    supervisor = executor.supervisor_pid
    executor.close()
    start, end = read_records(str(bench.record))["a"]
    assert start is not None
    assert end is None
    (bench.folder / "go").touch()
    os.waitpid(supervisor, 0)
    assert bench.recorded("a").exit_code == 6


def test_wake_from_a_signal_handler(bench: Any) -> None:
    former = signal.signal(signal.SIGUSR1, lambda *_: None)
    previous = signal.set_wakeup_fd(bench.executor.wake_fd)
    try:
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"kill -USR1 {os.getpid()}"], os.environ)
        assert list(bench.executor.poll(None)) == []
        os.waitpid(pid, 0)
    finally:
        signal.set_wakeup_fd(previous)
        signal.signal(signal.SIGUSR1, former)
