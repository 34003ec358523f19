"""What every executor holds to, the one with processes and the one without."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mlorch.executors.local import LocalExecutor
from mlorch.model.attempt import AttemptDone, AttemptRequest, AttemptRunning, ExecutorEvent
from mlorch.testing.clock import HandClock
from mlorch.testing.executor import Outcome, ScriptedExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlorch.model.ports import Executor

OK = ("true",)
THREE = ("sh", "-c", "exit 3")
LIKE_KILLED = ("sh", "-c", "exit 137")
KILLED = ("sh", "-c", "kill -KILL $$")
HANGS = ("sleep", "1000")
# Says that it is ready for TERM by its second line of execution; the contract does not look at the log, so it ends at KILL.
STUBBORN = ("sh", "-c", "trap '' TERM; while :; do sleep 1000; done")
MISSING = ("no-such-command-anywhere",)

SCRIPT = {
    OK: Outcome(),
    THREE: Outcome(exit_code=3),
    LIKE_KILLED: Outcome(exit_code=137),
    KILLED: Outcome(signal="SIGKILL"),
    HANGS: Outcome(lasts=None),
    STUBBORN: Outcome(lasts=None, stubborn=True),
    MISSING: Outcome(spawn_error="no-such-command-anywhere: command not found", errno=errno.ENOENT),
}


class Requests(Protocol):
    def __call__(self, name: str, argv: tuple[str, ...], **more: Any) -> AttemptRequest: ...


@pytest.fixture
def ask(tmp_path: Path) -> Requests:
    def make(name: str, argv: tuple[str, ...], **more: Any) -> AttemptRequest:
        env = (("MLORCH_RUN_ID", tmp_path.name), ("MLORCH_STEP", name), ("MLORCH_ATTEMPT", "1"))
        return AttemptRequest(
            token=f"{tmp_path.name}/{name}/1",
            argv=argv,
            env=env,
            cwd=str(tmp_path),
            log=str(tmp_path / f"{name}.log"),
            record=str(tmp_path / "records.jsonl"),
            **more,
        )

    return make


@pytest.fixture(params=["local", "scripted"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made: Executor
    if request.param == "local":
        made = LocalExecutor()
    else:
        made = ScriptedExecutor(HandClock(), lambda asked: SCRIPT[asked.argv])
    yield made
    made.close()


def until(executor: Executor, ends: int, seconds: float = 30) -> list[ExecutorEvent]:
    """All events until so many attempts have ended."""
    events: list[ExecutorEvent] = []
    deadline = time.monotonic() + seconds
    while sum(isinstance(event, AttemptDone) for event in events) < ends:
        assert time.monotonic() < deadline, events
        events += executor.poll(0.5)
    return events


def only_end(executor: Executor) -> AttemptDone:
    ends = [event for event in until(executor, 1) if isinstance(event, AttemptDone)]
    assert len(ends) == 1
    return ends[0]


def started(executor: Executor) -> AttemptRunning:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for event in executor.poll(0.5):
            assert isinstance(event, AttemptRunning)
            return event
    raise AssertionError("never started")


def test_success(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", OK))
    done = only_end(executor)
    assert (done.cause, done.exit_code, done.signal, done.spawn_error) == ("exit", 0, "", "")
    assert done.started_at.endswith("Z")
    assert done.ended_at >= done.started_at
    assert done.duration_s >= 0


def test_the_start_is_told_before_the_end(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", OK))
    first, second = until(executor, 1)
    assert isinstance(first, AttemptRunning)
    assert isinstance(second, AttemptDone)
    assert first.token == second.token
    assert first.pid > 0
    assert first.start_ticks > 0


def test_exit_status(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", THREE))
    done = only_end(executor)
    assert (done.cause, done.exit_code) == ("exit", 3)


def test_a_signal_is_not_an_exit_status(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", KILLED))
    done = only_end(executor)
    assert (done.cause, done.exit_code, done.signal) == ("signal", None, "SIGKILL")
    executor.submit(ask("b", LIKE_KILLED))
    done = only_end(executor)
    assert (done.cause, done.exit_code, done.signal) == ("exit", 137, "")


def test_a_missing_command_is_an_end_without_a_start(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", MISSING))
    (done,) = until(executor, 1)
    assert isinstance(done, AttemptDone)
    assert (done.cause, done.exit_code, done.signal, done.errno) == ("spawn", None, "", errno.ENOENT)
    assert "no-such-command-anywhere" in done.spawn_error


def test_many_at_once(executor: Executor, ask: Requests) -> None:
    for number in range(20):
        executor.submit(ask(f"s{number}", OK if number % 2 else THREE))
    ends = {event.token: event.exit_code for event in until(executor, 20) if isinstance(event, AttemptDone)}
    assert sorted(map(str, ends.values())) == ["0"] * 10 + ["3"] * 10
    assert len(ends) == 20


def test_what_finds_no_slot_waits_its_turn(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", HANGS, slots=1))
    executor.submit(ask("b", OK, slots=1))
    executor.submit(ask("c", OK, slots=2))
    running = started(executor)
    assert list(executor.poll(0.05)) == [], "not even one that has a slot overtakes"
    executor.cancel(running.token)
    events = until(executor, 3)
    begun = [event.token for event in events if isinstance(event, AttemptRunning)]
    assert [token.split("/")[1] for token in begun] == ["b", "c"]
    ends = {e.token.split("/")[1]: (e.cause, e.exit_code) for e in events if isinstance(e, AttemptDone)}
    assert ends == {"a": ("cancelled", None), "b": ("exit", 0), "c": ("exit", 0)}


def test_cancelled_before_its_turn(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", HANGS, slots=1))
    executor.submit(ask("b", OK, slots=1))
    running = started(executor)
    executor.cancel(running.token.replace("/a/", "/b/"))
    done = only_end(executor)
    assert (done.token.split("/")[1], done.cause, done.exit_code) == ("b", "cancelled", None)
    executor.cancel(running.token)
    events = until(executor, 1)
    assert not any(isinstance(event, AttemptRunning) for event in events), "b never started"


def test_timeout(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", HANGS, timeout=0.2))
    done = only_end(executor)
    assert (done.cause, done.signal) == ("timeout", "SIGTERM")
    assert done.duration_s >= 0.2


def test_a_time_out_that_is_not_reached_changes_nothing(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", OK, timeout=1000.0, heartbeat=1000.0))
    assert only_end(executor).cause == "exit"


def test_silence_is_a_hang(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", HANGS, heartbeat=0.2))
    assert only_end(executor).cause == "heartbeat"


def test_kill_after_grace(executor: Executor, ask: Requests) -> None:
    # The time-out is long enough for the shell to set its trap; if it is not, SIGTERM fails the test.
    executor.submit(ask("a", STUBBORN, timeout=0.5, grace=0.2))
    done = only_end(executor)
    assert (done.cause, done.signal) == ("timeout", "SIGKILL")
    assert done.duration_s >= 0.7


def test_cancel(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", HANGS))
    running = started(executor)
    executor.cancel(running.token)
    done = only_end(executor)
    assert (done.cause, done.signal) == ("cancelled", "SIGTERM")


def test_cancel_in_a_hurry(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", STUBBORN, grace=1000.0))
    running = started(executor)
    executor.cancel(running.token)
    executor.cancel(running.token, hurry=True)
    done = only_end(executor)
    assert (done.cause, done.signal in ("SIGKILL", "SIGTERM")) == ("cancelled", True)


def test_cancel_of_what_is_not_there_changes_nothing(executor: Executor, ask: Requests) -> None:
    executor.cancel("nobody/knows/1")
    executor.submit(ask("a", OK))
    token = only_end(executor).token
    executor.cancel(token)
    executor.submit(ask("b", OK))
    assert only_end(executor).cause == "exit"


def test_poll_returns_in_time_when_nothing_happens(executor: Executor, ask: Requests) -> None:
    assert list(executor.poll(0)) == []
    executor.submit(ask("a", HANGS))
    running = started(executor)
    assert list(executor.poll(0.01)) == []
    executor.cancel(running.token, hurry=True)
    only_end(executor)


def test_wake_ends_a_wait(executor: Executor) -> None:
    executor.wake()
    executor.wake()
    assert list(executor.poll(None)) == []


def test_nothing_after_close(executor: Executor, ask: Requests) -> None:
    executor.submit(ask("a", OK))
    only_end(executor)
    executor.close()
    executor.close()
    with pytest.raises(ValueError, match="closed"):
        executor.submit(ask("b", OK))
    assert list(executor.poll(0)) == []
    executor.wake()
    executor.cancel("a")
