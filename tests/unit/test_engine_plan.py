"""What a plan says before anything runs, and that it touches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.engine.plan import consider_all, idle, nothing_to_do, plan_of
from mlorch.model.errors import SpecError
from mlorch.model.states import Action, Verdict
from mlorch.testing.executor import Outcome
from tests.support.specs import pipeline
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.engine.consider import Considered
    from mlorch.model.plan import Plan
    from mlorch.model.spec import Pipeline

SPEC = pipeline(
    """
    a: {run: 'tool ${{ params.p }} ${{ outputs.x }}', outputs: {x: out/a}, values: {n: integer}}
    b: {run: ['tool', '${{ steps.a.values.n }}', 'out/b'], outputs: {x: out/b}}
    c: {run: tool, when: 'params.p > 5'}
    """,
    "params: {p: 1}",
)


def planned(world: World, spec: Pipeline = SPEC) -> Plan:
    world._states.clear()
    context = world.context(spec)
    return plan_of(context, consider_all(context, frozenset()))


def test_all_three_verdicts_are_shown() -> None:
    world = World(values={"a": "n=1"})
    plan = planned(world)
    assert plan.order == ("a", "b", "c")
    assert [(s.id, s.action, s.verdict) for s in plan.steps] == [
        ("a", Action.RUN, Verdict.STALE),
        ("b", Action.RUN, Verdict.STALE),
        ("c", Action.SKIP, Verdict.UNKNOWN),
    ]
    assert plan.steps[1].reason == "never_done"
    world.run(SPEC)
    assert [(s.action, s.verdict) for s in planned(world).steps[:2]] == [(Action.REUSE, Verdict.FRESH)] * 2
    world.params["p"] = 2
    assert [(s.action, s.verdict) for s in planned(world).steps[:2]] == [
        (Action.RUN, Verdict.STALE),
        (Action.UNKNOWN, Verdict.UNKNOWN),
    ]


def test_commands_are_shown_with_their_values_as_far_as_they_are_known() -> None:
    world = World(values={"a": "n=7"})
    first, second, _ = planned(world).steps
    assert first.command == "tool 1 out/a"
    assert "steps.a.values.n" in second.command
    assert (first.in_place, second.in_place) == ((), ("x",))
    assert second.outputs == (("x", "out/b"),)
    world.run(SPEC)
    assert planned(world).steps[1].command == "tool 7 out/b"


def test_one_value_that_is_not_known_yet_hides_no_other() -> None:
    spec = pipeline(
        """
        a: {run: tool, outputs: {x: out/a}, values: {n: integer}}
        b:
          run: 'tool ${{ inputs.a }} ${{ steps.a.values.n }} "${{ params.who }}" > ${{ outputs.x }}'
          inputs: {a: '${{ steps.a.outputs.x }}'}
          outputs: {x: out/b}
        c: {run: [tool, '${{ inputs.a }}', 'n=${{ steps.a.values.n }}', '${{ params.who }}'], inputs: {a: out/a}}
        """,
        "params: {who: a b}",
    )
    assert [step.command for step in planned(World(params={"who": "a b"}), spec).steps[1:]] == [
        'tool out/a ${{ steps.a.values.n }} "a b" > out/b',
        "tool out/a n=${{ steps.a.values.n }} 'a b'",
    ]


def test_a_plan_touches_nothing() -> None:
    world = World(values={"a": "n=1"})
    world.run(SPEC)
    changes, events = list(world.files.changes), world.events()
    world.params["p"] = 9
    planned(world)
    assert (world.files.changes, world.events()) == (changes, events)


def test_expected_durations_are_the_median_of_former_successes() -> None:
    world = World(values={"a": "n=1"})
    for seconds in (1.0, 9.0, 4.0):
        world.script = lambda _, seconds=seconds: Outcome(lasts=seconds)  # type: ignore[misc]
        world.run(SPEC, force=["a"])
    world.script = lambda _: Outcome(exit_code=1, lasts=100.0)
    world.run(SPEC, force=["a"])
    assert [step.expected_s for step in planned(world).steps] == [4.0, 1.0, None]


def test_nothing_to_do() -> None:
    world = World(values={"a": "n=1"})
    assert not nothing_to_do(world.plan(SPEC))
    world.run(SPEC)
    assert nothing_to_do(world.plan(SPEC))
    world.files.remove("out/b")
    assert not nothing_to_do(world.plan(SPEC))


def test_idle_is_the_plan_where_there_is_nothing_to_do() -> None:
    world = World(values={"a": "n=1"})

    def found() -> Mapping[str, Considered] | None:
        world._states.clear()
        return idle(world.context(SPEC), frozenset())

    assert found() is None
    world.run(SPEC)
    assert found() == world.plan(SPEC)
    world.files.remove("out/b")
    assert found() is None


@pytest.mark.parametrize("before", ["", "z: {run: tool}\n"], ids=["first", "later"])
@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            "a: {run: tool, outputs: {x: 'out/${{ params.p }}'}}\nb: {run: tool, outputs: {x: 'out/${{ params.q }}'}}",
            "both write out/1",
        ),
        ("a: {run: tool, outputs: {x: '${{ params.up }}/x'}}", "out of the project"),
        ("a: {run: tool, inputs: {d: '${{ params.up }}/x'}}", "out of the project"),
        ("a: {run: tool, outputs: {x: '${{ params.none }}'}}", "none"),
        ("a: {run: tool}\nb: {run: tool, needs: [a], when: 'params.p / 0'}", "when"),
    ],
)
def test_what_only_values_show_to_be_wrong_is_told_before_anything_runs(before: str, steps: str, told: str) -> None:
    top = "params: {p: 1, q: 1, up: '../..', none: {default: null}}"
    world = World()
    with pytest.raises(SpecError, match=told):
        world.run(pipeline(before + steps, top))
    assert world.events() == ()
