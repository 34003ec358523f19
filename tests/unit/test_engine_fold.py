"""The state of a partition is a pure fold of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.fold import apply, fold
from mlorch.model import events as ev
from mlorch.model.manifest import Artifact
from mlorch.model.states import RunState, StepState

if TYPE_CHECKING:
    from mlorch.model.history import PartitionState

AT = "2026-01-05T12:00:00.000Z"
OUT = Artifact("out/a", "d" * 64, "s", 1, "x")


def started(run: str = "r1") -> ev.RunStarted:
    return ev.RunStarted(run, AT, "p", "", (("p", 1),), ("--only a",), 2)


def attempt(number: int = 1, run: str = "r1", step: str = "a") -> ev.AttemptStarted:
    return ev.AttemptStarted(run, AT, step, number, "never_done", staging=("out/.mlorch-r1/a",), aside=(("out/a", ""),))


def ended(state: str, number: int = 1, retry_at: str = "", run: str = "r1") -> ev.AttemptEnded:
    return ev.AttemptEnded(run, AT, "a", number, state, "exit", "why", exit_code=1, retry_at=retry_at)


def succeeded(number: int = 1, run: str = "r1", state: str = "succeeded", how: str = "") -> ev.StepSucceeded:
    return ev.StepSucceeded(run, AT, "a", number, "f", (), (OUT,), state=state, how=how)


def after(*events: ev.Event) -> PartitionState:
    return fold("p", "", (started(), *events))


def test_a_run_from_its_start_to_its_end() -> None:
    state = after(
        attempt(),
        succeeded(),
        ev.StepEnded("r1", AT, "b", "skipped", "condition_false", "when"),
        ev.RunEnded("r1", AT, "succeeded", 0),
    )
    run = state.last_run
    assert run is not None
    assert (run.state, run.exit_code, run.params, run.total, run.selection) == (
        RunState.SUCCEEDED,
        0,
        (("p", 1),),
        2,
        ("--only a",),
    )
    assert {step.id: step.state for step in run.steps.values()} == {"a": StepState.SUCCEEDED, "b": StepState.SKIPPED}
    assert state.checkpoints["a"].outputs == (OUT,)
    assert (state.unfinished, state.events) == ({}, 4 + 1)


def test_what_is_left_unfinished() -> None:
    assert after(attempt()).unfinished == {"a": "interrupted"}
    assert after(attempt(), ended("failed")).unfinished == {"a": "failed"}
    assert after(attempt(), ended("timed_out")).unfinished == {"a": "failed"}
    assert after(attempt(), ended("warning")).unfinished == {"a": "failed"}
    assert after(attempt(), ended("not_ready")).unfinished == {"a": "failed"}
    assert after(attempt(), ended("cancelled")).unfinished == {"a": "interrupted"}
    assert after(attempt(), ended("lost")).unfinished == {"a": "interrupted"}
    assert after(attempt(), ended("failed", retry_at=AT), attempt(2)).unfinished == {"a": "interrupted"}
    assert after(attempt(), ended("failed", retry_at=AT), attempt(2), succeeded(2)).unfinished == {}
    assert after(attempt(), ev.RunLost("r1", AT)).unfinished == {"a": "interrupted"}


def test_a_failure_keeps_the_checkpoint_before_it() -> None:
    state = after(attempt(), succeeded(), started("r2"), attempt(run="r2"), ended("failed", run="r2"))
    assert state.checkpoints["a"].run_id == "r1"
    assert state.unfinished == {"a": "failed"}


def test_all_attempts_are_kept() -> None:
    state = after(
        attempt(), ended("failed", retry_at=AT), attempt(2), ended("timed_out", 2, AT), attempt(3), succeeded(3)
    )
    step = state.runs[0].steps["a"]
    assert [(a.number, a.state) for a in step.attempts] == [(1, "failed"), (2, "timed_out"), (3, "succeeded")]
    assert step.state is StepState.SUCCEEDED


def test_between_two_attempts_a_step_is_pending() -> None:
    assert after(attempt(), ended("failed", retry_at=AT)).runs[0].steps["a"].state is StepState.PENDING


def test_an_intent_stands_until_its_success_or_its_failure() -> None:
    intent = ev.PublishIntended("r1", AT, "a", 1, (("s", "out/a"),), {})
    assert after(attempt(), intent).runs[0].steps["a"].publish == intent
    assert after(attempt(), intent, succeeded()).runs[0].steps["a"].publish is None
    assert after(attempt(), intent, ended("failed")).runs[0].steps["a"].publish is None
    assert after(attempt(), intent, ended("failed", retry_at=AT), attempt(2)).runs[0].steps["a"].publish is None


def test_a_lost_run_loses_what_ran() -> None:
    state = after(attempt(), ev.StepsReused("r1", AT, ("b",)), ev.RunLost("r1", AT, "killed"))
    run = state.runs[0]
    assert (run.state, run.reason) == (RunState.LOST, "killed")
    assert (run.steps["a"].state, run.steps["b"].state) == (StepState.LOST, StepState.CACHED)
    assert run.steps["a"].last is not None
    assert run.steps["a"].last.state is StepState.LOST


def test_removed_outputs_come_back_with_their_step() -> None:
    removed = ev.OutputRemoved("r1", AT, "a", "out/a")
    assert after(attempt(), succeeded(), removed).removed == {"out/a"}
    assert (
        after(attempt(), succeeded(), removed, started("r2"), attempt(run="r2"), succeeded(run="r2")).removed == set()
    )


def test_a_step_that_asked_to_be_skipped_has_that_for_its_result() -> None:
    state = after(attempt(), succeeded(state="skipped", how="skipped"))
    assert state.checkpoints["a"].how == "skipped"
    assert state.runs[0].steps["a"].state is StepState.SKIPPED


def test_events_of_a_run_whose_start_is_lost_and_unknown_ones_do_no_harm() -> None:
    state = fold("p", "k", (succeeded(), ev.Unknown("r9", AT)))
    assert state.runs[0].run_id == "r1"
    assert state.checkpoints.keys() == {"a"}
    assert state.events == 2


def test_it_does_not_matter_in_how_many_sittings_it_is_read() -> None:
    events = (
        started(),
        attempt(),
        ended("failed", retry_at=AT),
        attempt(2),
        succeeded(2),
        ev.RunEnded("r1", AT, "succeeded", 0),
    )
    whole = fold("p", "", events)
    for cut in range(len(events)):
        state = fold("p", "", events[:cut])
        for event in events[cut:]:
            apply(state, event)
        assert state == whole
    assert fold("p", "", (ev.event(ev.record(event)) for event in events)) == whole
