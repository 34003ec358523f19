"""Pools in the loop: who waits, for whom, how long, and what it keeps from nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.model.attempt import Orphan
from mlorch.model.errors import FileError
from mlorch.model.events import AttemptStarted
from mlorch.model.pools import Holder
from mlorch.model.states import RunState
from mlorch.runner.loop import IfBusy, Options
from mlorch.testing.executor import Outcome
from mlorch.testing.pools import MemoryPools
from tests.support.specs import pipeline
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.pools import Shortage
    from mlorch.model.spec import Wanted
    from mlorch.runner.loop import Job
    from mlorch.testing.pools import MemorySlots

WIDE = Options(slots=8)
SPEC = pipeline(
    "a: {run: tool, pool: gpu}\nb: {run: tool, pool: gpu}\nc: {run: tool}\nd: {run: tool, pool: {warehouse: 3}}"
)
OTHER = Holder("step train of run r0", "r0")


def held(world: World, pool: str, slots: int = 1) -> None:
    """Another command of the machine holds slots, and lives."""
    world.held += [(pool, OTHER, "another command")] * slots
    world.orphans.present.add("r0")


def let_go_after(world: World, seconds: float) -> None:
    """That other command gives them back."""
    began = world.clock.monotonic()

    def tick() -> None:
        if world.clock.monotonic() - began >= seconds:
            world.held[:] = [item for item in world.held if item[1] != OTHER]

    world.watcher.ticks = tick


def test_one_slot_lets_one_step_run_and_keeps_nobody_else_waiting() -> None:
    world = World(lambda _: Outcome(lasts=10.0))
    began = world.clock.monotonic()
    run = world.run(SPEC, options=WIDE)
    assert set(states(run).values()) == {"succeeded"}
    assert world.pools.most == {"gpu": 1, "warehouse": 3}
    assert world.clock.monotonic() - began == pytest.approx(20.0, abs=0.5)
    assert [request.lends for request in world.executor.requests if "/d/" in request.token] == [
        (1000, 2000, 2001, 2002)
    ]
    assert world.held == []


def test_a_step_of_two_pools_takes_all_or_none() -> None:
    world = World(lambda _: Outcome(lasts=10.0))
    spec = pipeline(
        "a: {run: tool, pool: {gpu: 1, warehouse: 3}}\nb: {run: tool, pool: gpu}\nc: {run: tool, pool: {warehouse: 2}}\n"
        "d: {run: tool, pool: {gpu: 1, warehouse: 4}}"
    )
    run = world.run(spec, options=WIDE)
    assert set(states(run).values()) == {"succeeded"}
    assert world.pools.most == {"gpu": 1, "warehouse": 4}


def test_runs_of_one_command_share_the_slots() -> None:
    world = World(lambda _: Outcome(lasts=10.0))
    specs = [pipeline("a: {run: tool, pool: gpu}", name=name) for name in ("p", "q", "r")]
    began = world.clock.monotonic()
    outcomes = world.drive([world.job(spec) for spec in specs], WIDE)
    assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0]
    assert world.pools.most == {"gpu": 1}
    assert world.clock.monotonic() - began == pytest.approx(30.0, abs=0.5)


def test_what_others_hold_is_waited_for_and_told() -> None:
    world = World(lambda _: Outcome(lasts=1.0))
    held(world, "gpu")
    let_go_after(world, 30.0)
    began = world.clock.monotonic()
    run = world.run(SPEC, options=WIDE)
    assert set(states(run).values()) == {"succeeded"}
    assert world.clock.monotonic() - began == pytest.approx(32.0, abs=0.5)
    assert ("a", "gpu", "step train of run r0") in world.watcher.waits
    assert run.steps["c"].attempts[0].started_at < run.steps["a"].attempts[0].started_at


@pytest.mark.parametrize(
    ("options", "state", "code", "after"),
    [
        (Options(slots=8, wait_timeout=20.0, patience=20.0), RunState.NOT_READY, 6, 20.0),
        (Options(slots=8, if_busy=IfBusy.FAIL, patience=0.0), RunState.NOT_READY, 6, 1.0),
        (Options(slots=8, if_busy=IfBusy.SKIP, patience=0.0), RunState.SKIPPED, 0, 1.0),
    ],
)
def test_what_others_hold_too_long(options: Options, state: RunState, code: int, after: float) -> None:
    world = World(lambda _: Outcome(lasts=1.0))
    held(world, "gpu")
    spec = pipeline("a: {run: tool, pool: gpu}\nb: {run: tool, needs: [a]}\nc: {run: tool}")
    began = world.clock.monotonic()
    run = world.run(spec, options=options)
    assert (run.state, run.exit_code) == (state, code)
    assert states(run) == {"a": "not_ready", "b": "not_ready", "c": "succeeded"}
    assert world.clock.monotonic() - began == pytest.approx(after, abs=0.5)
    assert (run.steps["a"].reason, "step train of run r0" in run.reason) == ("busy", True)
    world.held.clear()
    assert states(world.run(spec)) == {"a": "succeeded", "b": "succeeded", "c": "cached"}


def test_steps_of_the_same_command_are_never_busy() -> None:
    world = World(lambda _: Outcome(lasts=100.0))
    run = world.run(SPEC, options=Options(slots=8, if_busy=IfBusy.FAIL, patience=0.0))
    assert set(states(run).values()) == {"succeeded"}


def test_not_ready_for_another_reason_is_not_busy() -> None:
    world = World()
    held(world, "gpu")
    spec = pipeline("a: {run: tool, pool: gpu}\nb: {run: tool, inputs: {i: missing.csv}}")
    assert world.run(spec, options=Options(slots=8, if_busy=IfBusy.SKIP, patience=0.0)).exit_code == 5


def test_a_failure_beside_is_a_failure() -> None:
    world = World(lambda request: Outcome(exit_code=1 if "/c/" in request.token else 0))
    held(world, "gpu")
    assert world.run(SPEC, options=Options(slots=8, if_busy=IfBusy.SKIP, patience=0.0)).exit_code == 1


def test_a_slot_is_given_back_while_the_next_attempt_is_waited_for() -> None:
    world = World(lambda request: Outcome(exit_code=1 if request.token.endswith("/a/1") else 0, lasts=1.0))
    spec = pipeline("a: {run: tool, pool: gpu, retry: {attempts: 2, delay: 1h}}\nb: {run: tool, pool: gpu}")
    run = world.run(spec, options=WIDE)
    assert set(states(run).values()) == {"succeeded"}
    order = [event.step for event in world.events() if isinstance(event, AttemptStarted)]
    assert order == ["a", "b", "a"]
    assert world.held == []


def test_check_commands_have_the_slot_too() -> None:
    world = World(lambda _: Outcome(lasts=5.0))
    spec = pipeline("a: {run: tool, pool: gpu, checks: [{run: look}]}\nb: {run: tool, pool: gpu}")
    world.run(spec, options=WIDE)
    assert {request.lends for request in world.executor.requests} == {(1000, 2000)}
    assert world.pools.most == {"gpu": 1}


def test_what_stands_needs_no_slot() -> None:
    world = World()
    world.run(SPEC, options=WIDE)
    held(world, "gpu")
    spec = pipeline(
        "a: {run: tool, pool: gpu}\nb: {run: tool, pool: gpu}\nc: {run: other}\nd: {run: tool, pool: {warehouse: 3}}"
    )
    run = world.run(spec, options=Options(slots=8, if_busy=IfBusy.FAIL, patience=0.0))
    assert states(run) == {"a": "cached", "b": "cached", "c": "succeeded", "d": "cached"}


def test_another_pool_changes_no_result() -> None:
    world = World()
    world.run(SPEC, options=WIDE)
    assert (
        world.reasons(pipeline("a: {run: tool}\nb: {run: tool, pool: warehouse}\nc: {run: tool}\nd: {run: tool}")) == {}
    )


def test_waiting_steps_are_cancelled_with_the_run() -> None:
    world = World(lambda _: Outcome(lasts=100.0))
    held(world, "gpu")
    spec = pipeline("a: {run: tool, pool: gpu}\nb: {run: tool, needs: [a]}\nc: {run: tool}", "timeout: 10s")
    run = world.run(spec, options=WIDE)
    assert (run.state, states(run)) == (RunState.TIMED_OUT, {"a": "cancelled", "b": "cancelled", "c": "cancelled"})
    assert [item for item in world.held if item[1] != OTHER] == []


def test_fail_fast_cancels_what_waits_for_a_slot() -> None:
    world = World(lambda request: Outcome(exit_code=1 if "/c/" in request.token else 0, lasts=1.0))
    held(world, "gpu")
    run = world.run(SPEC, options=Options(slots=8, fail_fast=True))
    assert (states(run)["a"], states(run)["b"]) == ("cancelled", "cancelled")


def test_a_command_that_cannot_be_made_gives_its_slot_back() -> None:
    world = World(lambda _: Outcome(lasts=1.0))
    spec = pipeline(
        "a: {run: 'tool ${{ params.x }}', pool: gpu}\nb: {run: tool, pool: gpu}", "params: {x: {default: null}}"
    )
    assert states(world.run(spec, options=WIDE)) == {"a": "failed", "b": "succeeded"}
    assert world.held == []


def test_an_output_that_cannot_be_staged_gives_its_slot_back() -> None:
    world = World(lambda _: Outcome(lasts=1.0))
    world.files.refuse = lambda what: FileError("no room", path=what[-1]) if what[0] == "stage" else None
    spec = pipeline("a: {run: 'tool ${{ outputs.x }}', pool: gpu, outputs: {x: out/a}}\nb: {run: tool, pool: gpu}")
    assert states(world.run(spec, options=WIDE)) == {"a": "failed", "b": "succeeded"}
    assert world.held == []


@pytest.mark.parametrize("watched", [True, False])
def test_what_a_killed_command_left_is_ended_unless_its_supervisor_lives(watched: bool) -> None:
    world = World(lambda _: Outcome(lasts=1.0))
    held(world, "gpu")
    world.orphans.present.clear()
    world.orphans.living["r0"] = (Orphan("r0/train/1", 17, "2026-01-01T00:00:00Z", watched),)

    def tick() -> None:
        if not world.orphans.living["r0"]:
            world.held[:] = [item for item in world.held if item[1] != OTHER]

    world.watcher.ticks = tick
    run = world.run(SPEC, options=Options(slots=8, patience=60.0))
    assert states(run)["a"] == ("not_ready" if watched else "succeeded")
    assert any("outlived its mlorch" in holders for _, _, holders in world.watcher.waits)


def test_a_slot_is_asked_for_a_few_times_however_many_wait_for_it() -> None:
    world = World()
    spec = pipeline("\n".join(f"s{i}: {{run: tool, pool: gpu}}" for i in range(300)))
    asked = 0

    class Counting(MemoryPools):
        def take(self, wanted: Wanted, run_id: str, note: str) -> MemorySlots | Shortage:
            nonlocal asked
            asked += 1
            return super().take(wanted, run_id, note)

    world.pools_of = Counting
    assert set(states(world.run(spec, options=WIDE)).values()) == {"succeeded"}
    assert asked < 3 * 300


# Concurrency groups: the same slots, held by whole runs.


def grouped(world: World, *names: str, if_busy: str = "wait") -> list[Job]:
    """Jobs of pipelines that share a group with one slot."""
    jobs = []
    for name in names:
        job = world.job(pipeline("a: {run: tool}\nb: {run: tool, needs: [a]}", name=name))
        job.group = lambda run_id, note: world.pools.take((("gpu", 1),), run_id, note)
        job.group_if_busy = {"gpu": if_busy}
        jobs.append(job)
    return jobs


def test_runs_of_a_group_go_one_after_the_other_and_their_steps_hold_the_slot() -> None:
    world = World(lambda _: Outcome(lasts=10.0))
    began = world.clock.monotonic()
    outcomes = world.drive(grouped(world, "p", "q", "r"), Options(slots=8, if_busy=IfBusy.FAIL, wait_timeout=1.0))
    assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0]
    assert world.clock.monotonic() - began == pytest.approx(60.0, abs=1.0)
    assert {request.lends for request in world.executor.requests} == {(1000, 2000)}
    assert world.watcher.notes == [], "that runs of one command wait for each other is no news"
    assert world.held == []
    assert world.locks.holders == {}


@pytest.mark.parametrize(
    ("options", "if_busy", "code", "after"),
    [
        (Options(slots=8), "skip", 0, 0.0),
        (Options(slots=8), "fail", 6, 0.0),
        (Options(slots=8, if_busy=IfBusy.FAIL), "skip", 6, 0.0),
        (Options(slots=8, wait_timeout=20.0), "skip", 6, 20.0),
        (Options(slots=8, wait_timeout=20.0), "wait", 6, 20.0),
    ],
)
def test_what_becomes_of_a_run_whose_group_is_busy(options: Options, if_busy: str, code: int, after: float) -> None:
    world = World()
    held(world, "gpu")
    began = world.clock.monotonic()
    (outcome,) = world.drive(grouped(world, "p", if_busy=if_busy), options)
    assert (outcome.exit_code, outcome.run.state, outcome.run.run_id) == (code, RunState.SKIPPED, "")
    assert outcome.run.reason == "busy: held by step train of run r0"
    assert world.clock.monotonic() - began == pytest.approx(after, abs=0.5)
    assert world.locks.holders == {}


def test_a_run_waits_for_others_of_its_group() -> None:
    world = World()
    held(world, "gpu")
    let_go_after(world, 30.0)
    (outcome,) = world.drive(grouped(world, "p"), WIDE)
    assert outcome.exit_code == 0
    assert world.watcher.notes == ["waiting for p (concurrency: gpu): held by step train of run r0"]


def test_what_a_killed_command_left_in_a_group_is_ended() -> None:
    world = World()
    held(world, "gpu")
    world.orphans.present.clear()

    def tick() -> None:
        if "r0" in world.orphans.ended:
            world.held[:] = [item for item in world.held if item[1] != OTHER]

    world.watcher.ticks = tick
    (outcome,) = world.drive(grouped(world, "p"), WIDE)
    assert outcome.exit_code == 0


def test_nothing_to_do_needs_no_slot_of_a_group() -> None:
    world = World()
    world.drive(grouped(world, "p"), WIDE)
    held(world, "gpu")
    (outcome,) = world.drive(grouped(world, "p", if_busy="fail"), WIDE)
    assert outcome.exit_code == 0
