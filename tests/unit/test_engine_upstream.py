"""Inputs from other pipelines' partitions: which keys, and what is missing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.engine.upstream import find_output
from mlorch.model.errors import SpecError
from mlorch.model.states import RunState
from tests.support.specs import made, pipeline, writes
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.spec import Pipeline

DAILY = "partitions: {day: {every: day, start: 2026-01-01}}"
UP = pipeline("make: {run: 'tool ${{ outputs.x }}', outputs: {x: 'up/${{ partition.key }}'}}", DAILY, name="up")
DAYS = [f"2026-01-0{day}" for day in range(1, 6)]


def consumer(partitions: str, top: str = DAILY) -> Pipeline:
    steps = f"read: {{run: 'tool', inputs: {{i: {{pipeline: up, output: x, partitions: {partitions}}}}}}}"
    return pipeline(steps, top, name="down")


def with_days(*days: str) -> World:
    world = World()
    for day in days:
        world.run(UP, day)
    world.pipelines["up"] = UP
    world.started.clear()
    return world


@pytest.mark.parametrize(
    ("partitions", "key", "read"),
    [
        ("same", DAYS[2], "/project/up/2026-01-03"),
        ("last(2)", DAYS[2], ["up/2026-01-02", "up/2026-01-03"]),
        ("last(9)", DAYS[1], ["up/2026-01-01", "up/2026-01-02"]),
        ("all", DAYS[1], ["up/2026-01-01", "up/2026-01-02", "up/2026-01-03"]),
        ("{from: 2026-01-02, to: 2026-01-03}", DAYS[4], ["up/2026-01-02", "up/2026-01-03"]),
        ("{from: 2026-01-01, to: '${{ partition.key }}'}", DAYS[1], ["up/2026-01-01", "up/2026-01-02"]),
    ],
)
def test_which_partitions_are_read(partitions: str, key: str, read: str | list[str]) -> None:
    world = with_days(*DAYS[:3])
    spec = consumer(partitions)
    run = world.run(spec, key)
    assert run.state is RunState.SUCCEEDED
    given = dict(world.executor.requests[0].env)["MLORCH_INPUT_I"]
    if isinstance(read, str):
        assert given == read
    else:
        assert given == "[" + ", ".join(f'"/project/{path}"' for path in read) + "]"
    assert world.run(spec, key).run_id == ""


@pytest.mark.parametrize(
    ("partitions", "key", "told"),
    [
        ("same", DAYS[3], "up 2026-01-04 is not done"),
        ("last(3)", DAYS[3], "up 2026-01-04 is not done"),
        ("{from: 2026-01-01, to: 2026-01-02}", DAYS[3], "up 2026-01-02 is not done"),
        ("all", DAYS[3], "up 2026-01-02 is not done"),
    ],
)
def test_missing_ones_between_are_told(partitions: str, key: str, told: str) -> None:
    world = with_days(DAYS[0], DAYS[2])
    run = world.run(consumer(partitions), key)
    assert states(run) == {"read": "not_ready"}
    assert told in run.steps["read"].detail


def test_without_a_window_of_its_own_the_newest_done_counts() -> None:
    world = with_days(DAYS[1], DAYS[2])
    run = world.run(consumer("last(2)", top="x-note: 1"))
    assert run.state is RunState.SUCCEEDED
    assert "2026-01-02" in dict(world.executor.requests[0].env)["MLORCH_INPUT_I"]


def test_nothing_done_at_all_is_not_ready() -> None:
    world = with_days()
    for partitions in ("last(2)", "all"):
        run = world.run(consumer(partitions, top="x-note: 1"))
        assert "up has no partition that is done" in run.steps["read"].detail


def test_an_output_that_vanished_is_missing_and_a_changed_one_is_noticed() -> None:
    world, spec = with_days(DAYS[0]), consumer("same")
    world.run(spec, DAYS[0])
    world.files.put("up/2026-01-01", "came anew")
    assert world.reasons(spec, DAYS[0]) == {"read": "input_changed"}
    world.files.remove("up/2026-01-01")
    assert "its output up/2026-01-01 is missing" in world.plan(spec, DAYS[0])["read"].detail


def test_the_same_partition_needs_partitions_on_both_sides() -> None:
    world = with_days(DAYS[0])
    with pytest.raises(SpecError, match="same"):
        world.plan(consumer("same", top="x-note: 1"))


def test_an_unknown_pipeline_is_told() -> None:
    world = World()
    with pytest.raises(SpecError, match="the pipeline up, which does not exist"):
        world.plan(consumer("all"), DAYS[0])


def test_a_pipeline_may_read_its_own_earlier_windows() -> None:
    steps = """
    make:
      run: 'tool ${{ outputs.x }}'
      inputs: {before: {pipeline: up, output: x, partitions: {from: 2026-01-01, to: 2026-01-01}}}
      outputs: {x: 'up/${{ partition.key }}'}
    """
    world = with_days(DAYS[0])
    again = pipeline(steps, DAILY, name="up")
    assert world.run(again, DAYS[1]).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", None),
        ("a.x", ("a", "x")),
        ("b.x", ("b", "x")),
        ("y", ("a", "y")),
        ("b.y", None),
        ("metrics", ("b", "metrics")),
        ("a.metrics", None),
        ("nothing", None),
    ],
)
def test_outputs_are_found_by_name(name: str, found: tuple[str, str] | None) -> None:
    spec = made(writes("a", more=("y",)), writes("b")._replace(metrics="m.json"))
    assert find_output(spec, name) == found
