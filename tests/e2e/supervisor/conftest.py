"""A bench with real processes: attempts are handed in, and what they leave behind is looked at."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from mlorch.executors.local import LocalExecutor
from mlorch.executors.records import read_records
from mlorch.model.attempt import AttemptDone, AttemptRequest, AttemptRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 30.0


class Bench:
    def __init__(self, folder: Path, executor: LocalExecutor) -> None:
        self.folder = folder
        self.executor = executor
        self.running: dict[str, AttemptRunning] = {}
        self.ended: dict[str, AttemptDone] = {}
        self.record = folder / "records.jsonl"

    def request(self, name: str, argv: str | tuple[str, ...], **more: Any) -> AttemptRequest:
        env = (("MLORCH_RUN_ID", self.folder.name), ("MLORCH_STEP", name), ("MLORCH_ATTEMPT", "1"))
        given: dict[str, Any] = {
            "token": name,
            "argv": ("sh", "-c", argv) if isinstance(argv, str) else argv,
            "env": env + more.pop("env", ()),
            "cwd": str(self.folder),
            "log": str(self.folder / f"{name}.log"),
            "record": str(self.record),
            "grace": 5.0,
        }
        return AttemptRequest(**(given | more))

    def submit(self, name: str, argv: str | tuple[str, ...], **more: Any) -> None:
        self.executor.submit(self.request(name, argv, **more))

    def pump(self, timeout: float = 0.02) -> None:
        for event in self.executor.poll(timeout):
            if isinstance(event, AttemptDone):
                assert event.token not in self.ended, "an end is told once"
                self.ended[event.token] = event
            else:
                self.running[event.token] = event

    def end(self, name: str) -> AttemptDone:
        self.until(lambda: name in self.ended)
        return self.ended[name]

    def run(self, name: str, argv: str | tuple[str, ...], **more: Any) -> AttemptDone:
        self.submit(name, argv, **more)
        return self.end(name)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.running, self.ended)
            self.pump()

    def log(self, name: str) -> bytes:
        path = self.folder / f"{name}.log"
        return path.read_bytes() if path.exists() else b""

    def recorded(self, name: str) -> AttemptDone:
        _, end = read_records(str(self.record))[name]
        assert end is not None
        return end


def living(pid: int) -> bool:
    """Whether a process lives; one that ended and waits to be waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def number_in(path: Path) -> int:
    """A process id that a step writes; waits until it stands there."""
    eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


@pytest.fixture
def patience() -> Callable[[Callable[[], object]], None]:
    return eventually


@pytest.fixture
def lives() -> Callable[[int], bool]:
    return living


@pytest.fixture
def number() -> Callable[[Path], int]:
    return number_in


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    executor = LocalExecutor()
    made = Bench(tmp_path, executor)
    yield made
    for name in made.running.keys() - made.ended.keys():
        executor.cancel(name, hurry=True)
        made.end(name)
    supervisor = executor.supervisor_pid
    executor.close()
    assert not supervisor or not os.path.exists(f"/proc/{supervisor}"), "the supervisor goes when nothing runs"
