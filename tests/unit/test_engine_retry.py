"""Retries and delays as tables."""

from __future__ import annotations

import pytest

from mlorch.engine.retry import allowed, delay, in_words, retried, state_of
from mlorch.model.attempt import AttemptDone
from mlorch.model.spec import Backoff, Retry, Step
from mlorch.model.states import StepState


def ended(cause: str = "exit", code: int | None = None, signal: str = "", spawn: str = "") -> AttemptDone:
    return AttemptDone("t", cause, exit_code=code, signal=signal, spawn_error=spawn)


@pytest.mark.parametrize(
    ("done", "state", "words"),
    [
        (ended(code=0), StepState.SUCCEEDED, "exit status 0"),
        (ended(code=1), StepState.FAILED, "exit status 1"),
        (ended(code=75), StepState.NOT_READY, "exit status 75 (not now)"),
        (ended(code=99), StepState.SKIPPED, "exit status 99 (it asked to be skipped)"),
        (ended(code=127), StepState.FAILED, "exit status 127 (command not found)"),
        (ended("signal", signal="SIGSEGV"), StepState.FAILED, "ended by SIGSEGV"),
        (ended("timeout", signal="SIGTERM"), StepState.TIMED_OUT, "timed out after 90 s"),
        (ended("timeout", code=0), StepState.TIMED_OUT, "timed out after 90 s"),
        (
            ended("heartbeat", signal="SIGKILL"),
            StepState.TIMED_OUT,
            "hung: it wrote nothing for the time of its heartbeat",
        ),
        (ended("oom", signal="SIGKILL"), StepState.FAILED, "killed: out of memory"),
        (ended("oom", code=137), StepState.FAILED, "killed: out of memory"),
        (ended("cancelled", code=0), StepState.CANCELLED, "cancelled"),
        (ended("lost"), StepState.LOST, "lost: its supervisor was killed"),
        (ended("spawn", spawn="x: not found"), StepState.FAILED, "x: not found"),
    ],
)
def test_ends(done: AttemptDone, state: StepState, words: str) -> None:
    assert state_of(done) is state
    assert in_words(done, Step("a", "x", timeout=90.0)) == words


@pytest.mark.parametrize(
    ("retry", "done", "again"),
    [
        (Retry(3), ended(code=1), True),
        (Retry(1), ended(code=1), False),
        (Retry(3), ended(code=64), False),
        (Retry(3, exit_codes=(64,)), ended(code=64), False),
        (Retry(3, exit_codes=(2, 3)), ended(code=3), True),
        (Retry(3, exit_codes=(2, 3)), ended(code=4), False),
        (Retry(3, exit_codes=(2, 3), never=(3,)), ended(code=3), False),
        (Retry(3, never=(1,)), ended(code=2), True),
        (Retry(3, exit_codes=(2,)), ended(code=75), True),
        (Retry(3), ended(code=99), False),
        (Retry(3), ended("signal", signal="SIGSEGV"), True),
        (Retry(3, signals=("SIGKILL",)), ended("signal", signal="SIGSEGV"), False),
        (Retry(3, signals=("SIGKILL",)), ended("oom", signal="SIGKILL"), True),
        (Retry(3, signals=()), ended("signal", signal="SIGSEGV"), False),
        (Retry(3), ended("timeout", signal="SIGTERM"), True),
        (Retry(3, on_timeout=False), ended("timeout", signal="SIGTERM"), False),
        (Retry(3), ended("cancelled", signal="SIGTERM"), False),
        (Retry(3), ended("spawn", spawn="x"), False),
    ],
)
def test_who_gets_another_attempt(retry: Retry, done: AttemptDone, again: bool) -> None:
    assert retried(retry, 1, state_of(done), done) is again
    assert not retried(retry, retry.attempts, state_of(done), done)


@pytest.mark.parametrize(
    ("retry", "seconds"),
    [
        (Retry(9, delay=2.0), [2, 2, 2, 2]),
        (Retry(9, delay=2.0, backoff=Backoff.LINEAR), [2, 4, 6, 8]),
        (Retry(9, delay=2.0, backoff=Backoff.EXPONENTIAL), [2, 4, 8, 16]),
        (Retry(9, delay=2.0, backoff=Backoff.EXPONENTIAL, max_delay=5.0), [2, 4, 5, 5]),
        (Retry(9), [0, 0, 0, 0]),
    ],
)
def test_delays(retry: Retry, seconds: list[float]) -> None:
    assert [delay(retry, attempt, 0.5) for attempt in (1, 2, 3, 4)] == seconds


def test_full_jitter_draws_from_nothing_to_all_of_it() -> None:
    retry = Retry(9, delay=8.0, full_jitter=True, max_delay=4.0)
    assert [delay(retry, 1, chance) for chance in (0.0, 0.25, 1.0)] == [0.0, 1.0, 4.0]


def test_a_long_series_does_not_overflow() -> None:
    assert delay(Retry(9, delay=1.0, backoff=Backoff.EXPONENTIAL, max_delay=60.0), 100_000, 1.0) == 60.0


@pytest.mark.parametrize(
    ("said", "code", "tolerated"), [(True, 1, True), (False, 1, False), ((2, 3), 3, True), ((2, 3), 4, False)]
)
def test_tolerated(said: bool | tuple[int, ...], code: int, tolerated: bool) -> None:
    assert allowed(Step("a", "x", allow_failure=said), ended(code=code)) is tolerated
