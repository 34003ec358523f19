"""What the ends of steps add up to."""

from __future__ import annotations

import pytest

from mlorch.engine.outcome import exit_code_of, run_state, worst
from mlorch.model.states import RunState, StepState


@pytest.mark.parametrize(
    ("ends", "state", "code"),
    [
        ("", RunState.SUCCEEDED, 0),
        ("succeeded cached skipped", RunState.SUCCEEDED, 0),
        ("succeeded warning", RunState.INCOMPLETE, 4),
        ("warning not_ready", RunState.NOT_READY, 5),
        ("failed blocked", RunState.FAILED, 1),
        ("failed not_ready cancelled warning", RunState.FAILED, 1),
        ("timed_out", RunState.FAILED, 1),
        ("lost", RunState.FAILED, 1),
        ("blocked", RunState.FAILED, 1),
        ("cancelled succeeded", RunState.CANCELLED, 11),
    ],
)
def test_runs(ends: str, state: RunState, code: int) -> None:
    assert run_state(StepState(word) for word in ends.split()) is state
    assert exit_code_of(state) == code


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_a_code(state: RunState) -> None:
    assert 0 <= exit_code_of(state) <= 12


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), 0),
        ((0, 0), 0),
        ((0, 4), 4),
        ((4, 6), 6),
        ((6, 5), 5),
        ((5, 11), 11),
        ((11, 1), 1),
        ((1, 12), 12),
        ((12, 143), 143),
        ((143, 3), 3),
        ((3, 9), 9),
        ((9, 10), 10),
        ((0, 1, 4, 5), 1),
    ],
)
def test_of_several_the_worst_wins(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) == code
    assert worst(reversed(codes)) == code
