"""Trigger rules, conditions, skipped steps, selection and effects outside: what becomes of a step whose needs have ended."""

from __future__ import annotations

import pytest

from mlorch.model.errors import SpecError
from mlorch.model.states import Action, RunState, StepState
from mlorch.runner.loop import Options
from mlorch.testing.executor import Outcome
from tests.support.specs import made, pipeline, writes
from tests.support.world import World, states

ENDS = {
    "good": Outcome(),
    "fail": Outcome(exit_code=1),
    "tolerated": Outcome(exit_code=3),
    "skip": Outcome(exit_code=99),
    "not_now": Outcome(exit_code=75),
    "timeout": Outcome(lasts=None),
}


@pytest.mark.parametrize(
    ("rule", "ends", "state"),
    [
        ("all_success", "good good", "succeeded"),
        ("all_success", "good skip", "succeeded"),
        ("all_success", "good tolerated", "succeeded"),
        ("all_success", "good fail", "blocked"),
        ("all_success", "good timeout", "blocked"),
        ("all_success", "good not_now", "not_ready"),
        ("all_done", "fail fail", "succeeded"),
        ("all_done", "good not_now", "succeeded"),
        ("any_success", "fail good", "succeeded"),
        ("any_success", "fail skip", "succeeded"),
        ("any_success", "fail fail", "blocked"),
        ("any_success", "not_now not_now", "not_ready"),
        ("any_failed", "good fail", "succeeded"),
        ("any_failed", "good timeout", "succeeded"),
        ("any_failed", "good good", "skipped"),
        ("any_failed", "skip tolerated", "skipped"),
        ("any_failed", "good not_now", "skipped"),
        ("none_failed", "good skip", "succeeded"),
        ("none_failed", "good not_now", "succeeded"),
        ("none_failed", "good fail", "blocked"),
        ("always", "fail not_now", "succeeded"),
        ("always", "good good", "succeeded"),
    ],
)
def test_trigger_rules(rule: str, ends: str, state: str) -> None:
    first, second = ends.split()
    outcomes = {"a": ENDS[first], "b": ENDS[second], "c": Outcome()}
    world = World(lambda request: outcomes[dict(request.env)["MLORCH_STEP"]])
    spec = pipeline(
        f"""
        a: {{run: tool, allow_failure: [3], timeout: 5s}}
        b: {{run: tool, allow_failure: [3], timeout: 5s}}
        c: {{run: tool, needs: [a, b], trigger_rule: {rule}}}
        """
    )
    run = world.run(spec)
    assert states(run)["c"] == state
    assert ("c" in world.started) == (state == "succeeded")


@pytest.mark.parametrize(
    ("rule", "state"),
    [("all_success", "blocked"), ("none_failed", "blocked"), ("any_failed", "succeeded"), ("always", "succeeded")],
)
def test_a_blocked_need_counts_as_failed_for_what_comes_after(rule: str, state: str) -> None:
    world = World(lambda request: Outcome(exit_code=int("/a/" in request.token)))
    run = world.run(
        pipeline(f"a: {{run: tool}}\nb: {{run: tool, needs: [a]}}\nc: {{run: tool, needs: [b], trigger_rule: {rule}}}")
    )
    assert states(run) == {"a": "failed", "b": "blocked", "c": state}


def test_a_failure_somebody_waits_for_runs_what_is_for_it_once_more_when_it_fails_again() -> None:
    world = World(lambda request: Outcome(exit_code=int("/a/" in request.token)))
    spec = pipeline("a: {run: tool}\nmend: {run: tool, needs: [a], trigger_rule: any_failed}")
    assert states(world.run(spec)) == {"a": "failed", "mend": "succeeded"}
    world.script = lambda _: Outcome()
    assert states(world.run(spec)) == {"a": "succeeded", "mend": "skipped"}


def test_what_waits_for_data_further_up_has_not_failed() -> None:
    world = World(lambda request: Outcome(exit_code=75 if "/a/" in request.token else 0))
    spec = pipeline("a: {run: tool}\nb: {run: tool, needs: [a]}\nc: {run: tool, needs: [b], trigger_rule: any_failed}")
    assert states(world.run(spec)) == {"a": "not_ready", "b": "not_ready", "c": "skipped"}


# Conditions.


@pytest.mark.parametrize(
    ("when", "state"),
    [
        ("params.p > 1", "succeeded"),
        ("${{ params.p > 2 }}", "skipped"),
        ("steps.a.values.n == 1", "succeeded"),
        ("steps.a.state == 'succeeded'", "succeeded"),
        ("steps.a.state == 'cached'", "skipped"),
        ("steps.a.values.n / 0", "failed"),
    ],
)
def test_when(when: str, state: str) -> None:
    world = World(values={"a": "n=1"})
    spec = pipeline(
        f'a: {{run: tool, values: {{n: integer}}}}\nb: {{run: tool, needs: [a], when: "{when}"}}', "params: {p: 2}"
    )
    run = world.run(spec)
    assert states(run)["b"] == state


def test_a_condition_that_is_wrong_whatever_runs_stops_before_anything_runs() -> None:
    world = World()
    with pytest.raises(SpecError, match="step b, when: division by zero"):
        world.run(pipeline("a: {run: tool}\nb: {run: tool, when: 'params.p / 0'}", "params: {p: 2}"))
    assert (world.started, world.events()) == ([], ())


def test_a_plan_knows_what_it_can_of_a_condition() -> None:
    world = World(values={"a": "n=1"})
    spec = pipeline(
        """
        a: {run: tool, values: {n: integer}}
        known: {run: tool, when: 'params.p > 2'}
        unknown: {run: tool, when: 'steps.a.values.n > 2'}
        """,
        "params: {p: 2}",
    )
    found = world.plan(spec)
    assert (found["known"].action, found["known"].reason) == (Action.SKIP, "condition_false")
    assert (found["unknown"].action, found["unknown"].reason) == (Action.UNKNOWN, "waiting_upstream")
    world.run(spec)
    assert world.plan(spec)["unknown"].state is StepState.SKIPPED
    assert world.run(spec).run_id == "", "a condition that is false is nothing to do"


def test_what_needs_a_result_of_a_skipped_step_is_skipped_too() -> None:
    world = World()
    spec = pipeline(
        """
        a: {run: 'tool ${{ outputs.x }}', when: 'false', values: {n: integer}, outputs: {x: out/a, y: out/folder/}}
        by_order: {run: tool, needs: [a]}
        by_state: {run: ['tool', '${{ steps.a.state }}']}
        by_output: {run: ['tool', '${{ steps.a.outputs.x }}']}
        by_value: {run: ['tool', '${{ steps.a.values.n }}']}
        by_path: {run: tool, inputs: {d: out/a}}
        by_folder: {run: tool, inputs: {d: out/folder/}}
        far: {run: ['tool', '${{ steps.by_value.state }}'], needs: [by_path]}
        """
    )
    run = world.run(spec)
    assert states(run) == {
        "a": "skipped",
        "by_order": "succeeded",
        "by_state": "succeeded",
        "by_output": "skipped",
        "by_value": "skipped",
        "by_path": "skipped",
        "by_folder": "skipped",
        "far": "succeeded",
    }
    assert run.state is RunState.SUCCEEDED
    assert run.steps["by_value"].reason == "upstream_skipped"


# Selection.

CHAIN = made(writes("a"), writes("b", "a"), writes("c", "b"))


@pytest.mark.parametrize(
    ("chosen", "ran"),
    [
        ({}, ["a", "b", "c"]),
        ({"until": ["b"]}, ["a", "b"]),
        ({"start": ["b"]}, []),
        ({"only": ["c"]}, []),
        ({"only": ["a"]}, ["a"]),
        ({"only": ["a", "c"]}, ["a"]),
        ({"start": ["a"], "until": ["b"]}, ["a", "b"]),
    ],
)
def test_what_is_selected_needs_results_of_what_is_not(chosen: dict[str, list[str]], ran: list[str]) -> None:
    world = World()
    run = world.run(CHAIN, **chosen)  # type: ignore[arg-type]
    assert world.started == ran
    assert run.state is (RunState.SUCCEEDED if len(ran) == len(run.steps) else RunState.NOT_READY)
    for step in run.steps.values():
        if step.id not in ran:
            assert (step.state, step.reason) == ("not_ready", "input_missing")


def test_results_of_what_is_not_selected_stand() -> None:
    world = World()
    world.run(CHAIN, until=["b"])
    assert states(world.run(CHAIN, only=["c"])) == {"c": "succeeded"}
    assert world.reasons(CHAIN) == {}


def test_it_is_what_stands_on_disk_that_a_selected_step_reads() -> None:
    world = World()
    world.run(CHAIN)
    world.files.put("out/b", "by hand")
    run = world.run(CHAIN, only=["c"])
    assert run.steps["c"].reason == "input_changed"
    assert world.files.text("out/c") == "c(by hand)"
    assert world.reasons(CHAIN) == {"b": "output_changed", "c": "waiting_upstream"}
    world.run(CHAIN)
    assert world.listing()["out/c"] == "c(b(a()))"


@pytest.mark.parametrize("link", ["needs: [a]", "inputs: {d: out/a}", "env: {A: '${{ steps.a.outputs.x }}'}"])
def test_a_result_that_is_gone_makes_a_selected_step_wait(link: str) -> None:
    world = World()
    text = f"a: {{run: 'tool ${{{{ outputs.x }}}}', outputs: {{x: out/a}}}}\nb: {{run: '%s', {link}}}"
    world.run(pipeline(text % "tool"))
    world.files.remove("out/a")
    run = world.run(pipeline(text % "other"), only=["b"])
    assert (states(run), run.state) == ({"b": "not_ready"}, RunState.NOT_READY)
    assert "out/a" in run.steps["b"].detail


def test_force_is_for_what_is_named() -> None:
    world = World()
    world.run(CHAIN)
    assert world.reasons(CHAIN, force=["b"]) == {"b": "forced", "c": "waiting_upstream"}
    world.started.clear()
    world.run(CHAIN, force=["b"])
    assert world.started == ["b"]


# Effects outside.

OUTSIDE = "a: {run: tool, side_effects: external, retry: 3}"


@pytest.mark.parametrize("how", ["failed", "lost", "cancelled"])
def test_effects_outside_are_not_repeated_by_themselves(how: str) -> None:
    world, spec = World(lambda _: Outcome(exit_code=1)), pipeline(OUTSIDE)
    if how == "failed":
        assert world.run(spec).exit_code == 1
    elif how == "lost":
        world.journal().kill_after = 2
        assert world.killed(spec)
    else:
        world.script = lambda _: Outcome(lasts=None)
        world.watcher.ticks = lambda: world.runner.stop(15)
        world.run(spec)
        world.watcher.ticks = lambda: None
    world.script = lambda _: Outcome()
    before = len(world.started)
    run = world.run(spec)
    assert (run.steps["a"].state, run.steps["a"].reason) == ("failed", "unsafe")
    assert "--rerun-unsafe" in run.steps["a"].detail
    assert len(world.started) == before
    assert world.run(spec, options=Options(rerun_unsafe=True)).state is RunState.SUCCEEDED
    assert world.run(spec).run_id == ""


def test_their_start_is_durable_before_the_process_is() -> None:
    world = World()
    durable: list[int] = []
    world.script = lambda _: Outcome(act=lambda _: durable.append(world.journal().durable))
    world.run(pipeline(OUTSIDE))
    assert durable == [2]


def test_effects_outside_run_again_when_something_changed_and_the_last_time_was_good() -> None:
    world = World()
    world.run(pipeline(OUTSIDE))
    assert world.run(pipeline(OUTSIDE.replace("tool", "other"))).state is RunState.SUCCEEDED


def test_a_condition_is_looked_at_before_what_happened_last_time() -> None:
    world = World(lambda _: Outcome(exit_code=1))
    text = "a: {run: tool, side_effects: external, when: params.go}"
    spec = pipeline(text, "params: {go: true}")
    world.run(spec)
    world.params["go"] = False
    assert states(world.run(pipeline(text + "\nb: {run: tool}", "params: {go: true}")))["a"] == "skipped"
