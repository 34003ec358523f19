"""Killed after any record and before any change on disk, or with the power gone: the next run ends in the same files."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.model.events import AttemptStarted, StepSucceeded
from mlorch.model.spec import Output, Pipeline, Step, Write
from mlorch.model.states import RunState
from mlorch.testing.executor import Outcome
from tests.support.specs import made, writes
from tests.support.world import World

NAMES = "abcde"
FORMER = "what stood there before mlorch came"


@st.composite
def graphs(draw: st.DrawFn) -> Pipeline:
    """A few steps: with several outputs, folders, temporary ones, and some that write in place over something older."""
    steps: list[Step] = []
    for index, name in enumerate(NAMES[: draw(st.integers(2, len(NAMES)))]):
        needs = draw(st.lists(st.sampled_from(NAMES[:index]), max_size=2, unique=True)) if index else []
        step = writes(name, *sorted(needs), more=("y",) if draw(st.booleans()) else ())
        match draw(st.sampled_from(("plain", "plain", "temp", "in_place", "folder"))):
            case "temp":
                step = step._replace(outputs=tuple(o._replace(temp=True) for o in step.outputs))
            case "in_place":
                step = step._replace(outputs=tuple(o._replace(write=Write.IN_PLACE) for o in step.outputs))
            case "folder":
                step = step._replace(outputs=(*step.outputs, Output("f", f"out/{name}_all/")))
        steps.append(step)
    return made(*steps)


def world_of(former: bool) -> World:
    world = World(lambda _: Outcome(lasts=1.0))
    if former:
        world.files.put("out/a", FORMER)
        world.files.put("out/b", FORMER)
    return world


def never_half(world: World) -> None:
    """Between two runs: no final path of a staged output holds what a step was in the middle of writing."""
    assert "half" not in {text for path, text in world.listing().items() if "/.mlorch-" not in path}


def in_place(pipeline: Pipeline) -> bool:
    return any(output.write is Write.IN_PLACE for step in pipeline.steps for output in step.outputs)


def recorded(world: World) -> set[str]:
    return {event.step for event in world.events() if isinstance(event, StepSucceeded)}


def goes_on(world: World, pipeline: Pipeline, whole: World) -> None:
    """The run after the crash: it does what was not recorded, and nothing else; everything is as if nothing had happened."""
    done = recorded(world)
    before = len(world.started)
    run = world.run(pipeline)
    assert run.state is RunState.SUCCEEDED
    again = set(world.started[before:]) & done
    assert not again, f"{again} were recorded as done, and ran again"
    assert world.listing() == whole.listing()
    assert world.left_over() == []
    started = len(world.started)
    assert world.run(pipeline).run_id == ""
    assert len(world.started) == started


@given(graphs(), st.booleans(), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_killed_after_any_record(pipeline: Pipeline, former: bool, end_well: bool, data: st.DataObject) -> None:
    whole = world_of(former)
    whole.run(pipeline)
    world = world_of(former)
    world.journal().kill_after = data.draw(st.integers(1, len(whole.events())))
    assert world.killed(pipeline, end_well=end_well)
    if not in_place(pipeline):
        never_half(world)
    goes_on(world, pipeline, whole)


@given(graphs(), st.booleans(), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_killed_at_any_change_on_disk(pipeline: Pipeline, former: bool, end_well: bool, data: st.DataObject) -> None:
    whole = world_of(former)
    whole.run(pipeline)
    world = world_of(former)
    world.files.kill_at = data.draw(st.integers(1, len(whole.files.changes)))
    assert world.killed(pipeline, end_well=end_well)
    if not in_place(pipeline):
        never_half(world)
    goes_on(world, pipeline, whole)


@given(
    graphs(),
    st.booleans(),
    st.lists(st.tuples(st.booleans(), st.integers(1, 12), st.booleans()), min_size=2, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_killed_again_and_again(pipeline: Pipeline, former: bool, kills: list[tuple[bool, int, bool]]) -> None:
    whole = world_of(former)
    whole.run(pipeline)
    world = world_of(former)
    for on_disk, after, end_well in kills:
        if on_disk:
            world.files.kill_at = len(world.files.changes) + after
        else:
            world.journal().kill_after = len(world.events()) + after
        world.killed(pipeline, end_well=end_well)
        world.files.kill_at = world.journal().kill_after = None
        if not in_place(pipeline):
            never_half(world)
    goes_on_or_stands(world, pipeline, whole)


def goes_on_or_stands(world: World, pipeline: Pipeline, whole: World) -> None:
    goes_on(world, pipeline, whole)
    attempts = [event.step for event in world.events() if isinstance(event, StepSucceeded)]
    assert sorted(attempts) == sorted(step.id for step in pipeline.steps)


@given(graphs(), st.booleans(), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_power_goes(pipeline: Pipeline, former: bool, after: int) -> None:
    whole = world_of(former)
    whole.run(pipeline)
    world = world_of(former)
    world.journal().kill_after = min(after, len(whole.events()))
    assert world.killed(pipeline)
    world.journal().lose_power()
    world.ends.clear()
    if not in_place(pipeline):
        never_half(world)
    known = {event.run_id for event in world.events() if isinstance(event, AttemptStarted)}
    run = world.run(pipeline)
    assert run.state is RunState.SUCCEEDED
    lost = [path for path in world.left_over() if not any(f"/.mlorch-{run_id}" in path for run_id in known)]
    assert world.left_over() == lost
    for path in lost:
        world.files.remove(path)
    assert world.listing() == whole.listing()
