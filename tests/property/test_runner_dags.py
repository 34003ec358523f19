"""Random graphs with random ends: order, capacity, one end for each step, and nothing done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.model.events import AttemptStarted, StepsReused, StepSucceeded
from mlorch.model.spec import Retry, Step, TriggerRule
from mlorch.model.states import RunState, StepState
from mlorch.runner.loop import Options
from mlorch.testing.executor import Outcome
from tests.support.specs import made, writes
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.attempt import AttemptRequest
    from mlorch.model.spec import Pipeline

NAMES = "abcdefgh"
ENDS = ("good", "good", "good", "fail", "flaky", "timeout", "skip", "not_now", "lost", "tolerated", "silent")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Step, ...]:
    """Up to eight steps; each reads some of those before it. Not in the order of the file: the last comes first there."""
    steps: list[Step] = []
    for index, name in enumerate(NAMES[: draw(st.integers(1, len(NAMES)))]):
        needs = draw(st.lists(st.sampled_from(NAMES[:index]), max_size=3, unique=True)) if index else []
        more = ("y",) if draw(st.booleans()) else ()
        steps.append(writes(name, *sorted(needs), temp=draw(st.integers(0, 4)) == 0, more=more))
    return tuple(reversed(steps)) if draw(st.booleans()) else tuple(steps)


def outcome_of(end: str, seconds: float, attempt: str) -> Outcome:
    match end:
        case "fail" | "tolerated":
            return Outcome(exit_code=1, lasts=seconds)
        case "flaky":
            return Outcome(exit_code=int(attempt == "1"), lasts=seconds)
        case "timeout":
            return Outcome(lasts=None)
        case "skip":
            return Outcome(exit_code=99, lasts=seconds)
        case "not_now":
            return Outcome(exit_code=75, lasts=seconds)
        case "lost":
            return Outcome(cause="lost", lasts=seconds)
    return Outcome(lasts=seconds)


def with_ends(steps: tuple[Step, ...], ends: dict[str, str], rules: dict[str, TriggerRule]) -> Pipeline:
    return made(
        *(
            step._replace(
                retry=Retry(2, delay=3.0) if ends[step.id] in ("flaky", "not_now") else Retry(),
                timeout=20.0,
                allow_failure=ends[step.id] == "tolerated",
                trigger_rule=rules.get(step.id, TriggerRule.ALL_SUCCESS),
            )
            for step in steps
        )
    )


def playing(ends: dict[str, str], seconds: dict[str, float]) -> World:
    def script(request: AttemptRequest) -> Outcome:
        env = dict(request.env)
        step = env["MLORCH_STEP"]
        return outcome_of(ends[step], seconds[step], env["MLORCH_ATTEMPT"])

    return World(script, silent={step for step, end in ends.items() if end == "silent"})


def by_step(steps: tuple[Step, ...], draw: st.DataObject, values: st.SearchStrategy[str]) -> dict[str, str]:
    return {step.id: draw.draw(values, label=step.id) for step in steps}


@given(graphs(), st.integers(1, 3), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_step_ends_once_in_order_and_within_the_slots(
    steps: tuple[Step, ...], slots: int, fail_fast: bool, data: st.DataObject
) -> None:
    ends = by_step(steps, data, st.sampled_from(ENDS))
    rules = {step.id: data.draw(st.sampled_from(TriggerRule)) for step in steps if data.draw(st.integers(0, 3)) == 0}
    world = playing(ends, {step.id: float(data.draw(st.integers(0, 9))) for step in steps})
    pipeline = with_ends(steps, ends, rules)
    run = world.run(pipeline, options=Options(slots=slots, fail_fast=fail_fast))
    assert world.peak <= slots
    assert run.state is not RunState.RUNNING
    assert run.steps.keys() == {step.id for step in steps}
    assert all(step.state.ended for step in run.steps.values())
    assert world.left_over() == []
    seen: set[str] = set()
    for event, step, state in changes(world):
        if isinstance(event, AttemptStarted):
            needs = next(s.needs for s in steps if s.id == step)
            assert set(needs) <= seen, f"{step} started before {needs} had ended"
            assert step not in seen
        elif state.ended:
            assert step not in seen, f"{step} ended twice"
            seen.add(step)
    if not fail_fast:
        for each in steps:
            if rules.get(each.id, TriggerRule.ALL_SUCCESS) is TriggerRule.ALL_SUCCESS and each.id in world.started:
                assert all(run.steps[need].state.good for need in each.needs)


def changes(world: World) -> list[tuple[object, str, StepState]]:
    """What the journal says of each step, one by one."""
    found: list[tuple[object, str, StepState]] = []
    for event in world.events():
        if isinstance(event, StepsReused):
            found.extend((event, step, StepState.CACHED) for step in event.steps)
        elif isinstance(event, AttemptStarted):
            found.append((event, event.step, StepState.RUNNING))
        elif (step := getattr(event, "step", None)) is not None and (
            state := getattr(event, "state", None)
        ) is not None:
            pending = bool(getattr(event, "retry_at", ""))
            found.append((event, step, StepState.PENDING if pending else StepState(state)))
    return found


@given(graphs(), st.data())
@settings(max_examples=50, deadline=None)
def test_a_second_run_does_nothing(steps: tuple[Step, ...], data: st.DataObject) -> None:
    ends = by_step(steps, data, st.sampled_from(("good", "good", "flaky", "skip")))
    world = playing(ends, dict.fromkeys(NAMES, 1.0))
    pipeline = with_ends(steps, ends, {})
    first = world.run(pipeline)
    assert first.state is RunState.SUCCEEDED
    files, events, started = world.listing(), world.events(), list(world.started)
    second = world.run(pipeline)
    assert (second.run_id, second.state) == ("", RunState.SUCCEEDED)
    assert (world.listing(), world.events(), world.started) == (files, events, started)
    assert set(states(second).values()) <= {"cached", "skipped"}


@given(graphs(), st.data())
@settings(max_examples=50, deadline=None)
def test_what_failed_once_is_all_that_runs_when_it_is_mended(steps: tuple[Step, ...], data: st.DataObject) -> None:
    ends = by_step(steps, data, st.sampled_from(("good", "good", "fail", "silent")))
    world = playing(ends, dict.fromkeys(NAMES, 1.0))
    pipeline = with_ends(steps, ends, {})
    world.run(pipeline)
    done = {event.step for event in world.events() if isinstance(event, StepSucceeded)}
    world.started.clear()
    world.script, world.silent = (lambda _: Outcome()), set()
    assert world.run(pipeline).state is RunState.SUCCEEDED
    assert sorted(world.started) == sorted({step.id for step in steps} - done)
    whole = World()
    whole.run(pipeline)
    assert world.listing() == whole.listing()
