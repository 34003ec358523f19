"""The loop over many runs: time-outs, cancelling, fail-fast, locks that others hold, jobs that wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import ExitCode, FileError, StateError
from mlorch.model.events import RunEnded, RunStarted, StepEnded
from mlorch.model.states import RunState
from mlorch.runner.loop import AHEAD, BRIEF, IfBusy, Options
from mlorch.testing.executor import Outcome
from mlorch.testing.journal import Killed
from mlorch.testing.locks import MemoryLock
from tests.support.specs import made, pipeline, writes
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.attempt import AttemptRequest

CHAIN = made(writes("a"), writes("b", "a"), writes("c", "b"), writes("z"))
SLOW = Outcome(lasts=100.0)


def of(step: str, outcome: Outcome, world: World | None = None) -> World:
    """A world in which one step goes like that, and all others well."""
    world = world or World()
    world.script = lambda request: outcome if f"/{step}/" in request.token else Outcome(lasts=1.0)
    return world


# Time-outs of the run.


def test_a_run_that_takes_too_long_is_ended_with_all_that_waits_behind_it() -> None:
    world = of("a", SLOW)
    spec = pipeline(
        "a: {run: tool}\nb: {run: tool, needs: [a]}\nc: {run: tool, needs: [b]}\nz: {run: tool}", "timeout: 10s"
    )
    began = world.clock.monotonic()
    run = world.run(spec)
    assert (run.state, run.exit_code) == (RunState.TIMED_OUT, 12)
    assert states(run) == {"a": "cancelled", "b": "cancelled", "c": "cancelled", "z": "succeeded"}
    assert world.clock.monotonic() - began == pytest.approx(10.0, abs=0.3)
    assert "timed out" in run.reason
    world.script = lambda _: Outcome()
    assert states(world.run(spec)) == {"a": "succeeded", "b": "succeeded", "c": "succeeded", "z": "cached"}


def test_what_was_done_in_time_counts_even_if_the_time_is_up_when_it_is_told() -> None:
    world = of("a", Outcome(lasts=10.0))
    assert world.run(pipeline("a: {run: tool}", "timeout: 10s")).state is RunState.SUCCEEDED


def test_a_step_waiting_for_its_next_attempt_is_cancelled_by_the_time_out() -> None:
    world = of("a", Outcome(exit_code=1))
    run = world.run(
        pipeline("a: {run: tool, retry: {attempts: 3, delay: 1h}}\nb: {run: tool, needs: [a]}", "timeout: 10s")
    )
    assert states(run) == {"a": "cancelled", "b": "cancelled"}
    assert run.state is RunState.TIMED_OUT
    assert len(world.started) == 1


# Cancelling.


def cancelled(world: World, *at: float, signal: int = 15) -> None:
    """Call `stop` at these times (seconds from now), as a signal handler does."""
    began, left = world.clock.monotonic(), list(at)

    def tick() -> None:
        if left and world.clock.monotonic() - began >= left[0]:
            left.pop(0)
            world.runner.stop(signal)

    world.watcher.ticks = tick


def test_cancelled_once() -> None:
    world = of("a", SLOW)
    cancelled(world, 3.0)
    run = world.run(CHAIN)
    assert (run.state, run.exit_code) == (RunState.CANCELLED, 128 + 15)
    assert states(run) == {"a": "cancelled", "b": "cancelled", "c": "cancelled", "z": "succeeded"}
    assert world.executor.cancelled == ["r1/a/1"], "asked once, not with every turn of the loop"
    assert world.executor.hurried == []
    assert world.left_over() == []
    world.watcher.ticks = lambda: None
    world.script = lambda _: Outcome()
    again = world.run(CHAIN)
    assert again.steps["a"].reason == "interrupted"
    assert states(again) == {"a": "succeeded", "b": "succeeded", "c": "succeeded", "z": "cached"}


def test_cancelled_twice_hurries() -> None:
    world = of("a", Outcome(lasts=None, stubborn=True))
    cancelled(world, 3.0, 4.0, signal=2)
    began = world.clock.monotonic()
    run = world.run(CHAIN)
    assert run.exit_code == 128 + 2
    assert world.executor.hurried == ["r1/a/1"]
    assert world.clock.monotonic() - began < 5.0, "the grace of ten seconds was not waited for"


def test_an_attempt_cancelled_is_not_tried_again() -> None:
    world = of("a", SLOW)
    cancelled(world, 3.0)
    run = world.run(pipeline("a: {run: tool, retry: 5}"))
    assert (states(run), len(world.started)) == ({"a": "cancelled"}, 1)


def test_cancelling_ends_a_check_command() -> None:
    world = World(lambda request: SLOW if request.token.endswith("/check") else Outcome())
    cancelled(world, 3.0)
    began = world.clock.monotonic()
    run = world.run(pipeline("a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}, checks: [{run: look}]}"))
    assert states(run) == {"a": "cancelled"}
    assert world.clock.monotonic() - began < 5.0
    assert (world.listing(), world.left_over()) == ({}, [])


def test_no_check_starts_for_what_ended_well_in_the_moment_of_the_cancel() -> None:
    world = World(lambda _: Outcome(lasts=None))

    def tick() -> None:
        if world.executor.running():
            world.executor.finish("r1/a/1", Outcome())
            world.runner.stop(15)

    world.watcher.ticks = tick
    run = world.run(pipeline("a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}, checks: [{run: look}]}"))
    assert states(run) == {"a": "cancelled"}
    assert len(world.executor.requests) == 1
    assert (world.listing(), world.left_over()) == ({}, [])


def test_cancelling_a_run_whose_steps_are_all_done_changes_nothing() -> None:
    world = World()
    world.script = lambda _: Outcome(act=lambda _: world.runner.stop(15))
    run = world.run(made(writes("a")))
    assert (run.state, run.exit_code) == (RunState.SUCCEEDED, 0)


def test_jobs_that_were_not_begun_are_not_begun_after_a_cancel() -> None:
    world = World(lambda _: SLOW)
    cancelled(world, 3.0)
    spec = pipeline("a: {run: tool}", DAYS)
    outcomes = world.drive([world.job(spec, key) for key in KEYS], Options(slots=1))
    assert [outcome.run.state for outcome in outcomes] == [RunState.CANCELLED] * len(KEYS)
    assert [bool(outcome.run.run_id) for outcome in outcomes] == [True] + [False] * (len(KEYS) - 1)
    assert {outcome.exit_code for outcome in outcomes} == {128 + 15}


def test_a_second_attempt_keeps_the_reason_of_the_first() -> None:
    spec = pipeline("a: {run: tool, retry: 1}")
    run = World(lambda r: Outcome(exit_code=int(r.token.endswith("/1")))).run(spec)
    assert [attempt.reason for attempt in run.steps["a"].attempts] == ["never_done", "never_done"]


# Fail-fast and keep-going.


def test_keep_going_is_the_default() -> None:
    run = of("a", Outcome(exit_code=1)).run(CHAIN)
    assert states(run) == {"a": "failed", "b": "blocked", "c": "blocked", "z": "succeeded"}
    assert run.reason.startswith("a: exit status 1")


def test_fail_fast_lets_what_runs_end_and_starts_nothing_more() -> None:
    spec = made(writes("a"), writes("long"), writes("after", "long"), writes("x"), writes("y"))
    world = World(lambda r: Outcome(exit_code=int("/a/" in r.token), lasts=20.0 if "/long/" in r.token else 1.0))
    run = world.run(spec, options=Options(slots=2, fail_fast=True))
    assert states(run) == {"a": "failed", "long": "succeeded", "after": "cancelled", "x": "cancelled", "y": "cancelled"}
    assert (run.state, run.exit_code) == (RunState.FAILED, 1)
    assert world.executor.cancelled == []
    ends = [event for event in world.events() if isinstance(event, StepEnded)]
    assert {event.reason for event in ends} == {"cancelled"}


def test_fail_fast_by_a_step_that_ends_without_an_attempt() -> None:
    world = World()
    spec = pipeline(
        "a: {run: 'tool ${{ params.p }}'}\nb: {run: tool, needs: [a]}\nc: {run: tool}", "params: {p: {default: null}}"
    )
    run = world.run(spec, options=Options(slots=1, fail_fast=True))
    assert run.state is RunState.FAILED
    assert all(step.state.ended for step in run.steps.values())


# Locks that others hold.


def held(world: World) -> MemoryLock:
    lock = MemoryLock(world.locks, "p/")
    assert lock.acquire(wait=0, note="run r0 (pid 1) since then")
    return lock


def test_waiting_until_it_is_free() -> None:
    world, spec = World(), made(writes("a"))
    lock = held(world)
    began = world.clock.monotonic()
    world.watcher.ticks = lambda: lock.release() if world.clock.monotonic() - began > 7 else None
    assert world.run(spec).state is RunState.SUCCEEDED
    assert [note for note in world.watcher.notes if "run r0" in note] == [
        "waiting for p: held by run r0 (pid 1) since then"
    ]


def test_what_the_other_did_meanwhile_is_not_done_again() -> None:
    world, spec = World(), made(writes("a"))
    lock = held(world)
    elsewhere = World()
    elsewhere.run(spec)

    def other() -> None:
        if not world.events():
            world.files._files |= elsewhere.files._files
            journal = world.journal()
            journal.open()
            journal.append(elsewhere.events())
            lock.release()

    world.watcher.ticks = other
    run = world.run(spec)
    assert (run.run_id, states(run)) == ("", {"a": "cached"})
    assert world.started == []


@pytest.mark.parametrize(("if_busy", "wait"), [(IfBusy.FAIL, None), (IfBusy.WAIT, 5.0)])
def test_busy_has_an_exit_code_of_its_own_and_the_other_jobs_go_on(if_busy: IfBusy, wait: float | None) -> None:
    world = World()
    held(world)
    other = made(writes("b"), name="q")
    options = Options(if_busy=if_busy, wait_timeout=wait)
    busy, free = world.drive([world.job(made(writes("a"))), world.job(other)], options)
    assert (busy.exit_code, busy.run.state, busy.run.run_id) == (ExitCode.BUSY, RunState.SKIPPED, "")
    assert "held by run r0" in busy.run.reason
    assert free.run.state is RunState.SUCCEEDED
    assert world.events() == ()


def test_busy_may_be_skipped() -> None:
    world = World()
    held(world)
    run = world.run(made(writes("a")), options=Options(if_busy=IfBusy.SKIP))
    assert (run.state, run.run_id) == (RunState.SKIPPED, "")
    assert "held by run r0" in run.reason
    assert world.started == []


def test_nothing_to_do_needs_no_lock() -> None:
    world, spec = World(), made(writes("a"))
    world.run(spec)
    held(world)
    assert world.run(spec, options=Options(if_busy=IfBusy.FAIL)).run_id == ""


def test_the_lock_is_given_back_and_the_journal_flushed() -> None:
    world = World()
    world.run(CHAIN)
    assert world.locks.holders == {}
    assert world.journal().durable == len(world.events())


def test_waiting_is_ended_by_a_cancel() -> None:
    world = World()
    held(world)
    cancelled(world, 3.0)
    run = world.run(made(writes("a")))
    assert run.state is RunState.CANCELLED


# Many jobs.

DAYS = "partitions: {day: {every: day, start: 2026-01-01}}"
KEYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_slots_count_over_all_jobs() -> None:
    world = World(lambda _: Outcome(lasts=5.0))
    spec = pipeline("a: {run: tool}\nb: {run: tool}", DAYS)
    outcomes = world.drive([world.job(spec, key) for key in KEYS], Options(slots=3))
    assert [outcome.run.partition for outcome in outcomes] == KEYS
    assert all(outcome.exit_code == 0 for outcome in outcomes)
    assert world.peak == 3


TEN = "\n".join(f"s{number}: {{run: tool}}" for number in range(10))


def test_brief_steps_are_handed_over_before_there_is_a_slot_for_them() -> None:
    world = World(lambda _: Outcome(lasts=BRIEF / 2))
    (outcome,) = world.drive([world.job(pipeline(TEN))], Options(slots=1))
    assert outcome.run.state is RunState.SUCCEEDED
    assert (world.waited, world.peak) == (AHEAD, 1)


@pytest.mark.parametrize(
    ("spec", "options", "lasts"),
    [
        (TEN, Options(), BRIEF * 2),
        (TEN, Options(fail_fast=True), 0.0),
        (TEN, Options(max_failures=1), 0.0),
        (TEN.replace("}", ", side_effects: external}"), Options(), 0.0),
        (TEN.replace("tool}", "tool out/x, outputs: {x: out/x}}"), Options(), 0.0),
    ],
    ids=["long", "fail fast", "failures counted", "effects outside", "in place"],
)
def test_no_step_is_handed_over_early_where_that_may_matter(spec: str, options: Options, lasts: float) -> None:
    for number in range(10):
        spec = spec.replace("out/x", f"out/{number}", 2)
    world = World(lambda _: Outcome(lasts=lasts))
    (outcome,) = world.drive([world.job(pipeline(spec))], options)
    assert outcome.run.state is RunState.SUCCEEDED
    assert (world.waited, world.peak) == (0, 1)


def test_jobs_wait_for_those_before_them_whatever_came_of_them() -> None:
    world = World(lambda request: Outcome(exit_code=int("first" in request.token), lasts=5.0))
    order: list[str] = []
    spec = pipeline("a: {run: tool}", DAYS)

    def script(request: AttemptRequest) -> Outcome:
        order.append(dict(request.env)["MLORCH_PARTITION"])
        return Outcome(exit_code=1, lasts=5.0)

    world.script = script
    last = world.job(spec, KEYS[2])
    middle = world.job(spec, KEYS[1], after=(last,))
    first = world.job(spec, KEYS[0], after=(middle, last))
    outcomes = world.drive([first, middle, last], Options(slots=3))
    assert order == [KEYS[2], KEYS[1], KEYS[0]]
    assert [outcome.run.state for outcome in outcomes] == [RunState.FAILED] * 3


def test_jobs_that_wait_for_what_is_not_among_them_are_done_all_the_same() -> None:
    world = World()
    spec = pipeline("a: {run: tool}", DAYS)
    elsewhere = world.job(spec, KEYS[0])
    outcomes = world.drive([world.job(spec, KEYS[1], after=(elsewhere,))], Options(slots=1))
    assert [outcome.run.state for outcome in outcomes] == [RunState.SUCCEEDED]


def test_jobs_keep_their_order_when_one_has_to_wait() -> None:
    world = World(lambda _: Outcome(lasts=5.0))
    spec = pipeline("a: {run: tool}", DAYS)
    jobs = [world.job(spec, KEYS[0])]
    jobs.append(world.job(spec, KEYS[1], after=(jobs[0],)))
    jobs.append(world.job(spec, KEYS[2], after=(jobs[0],)))
    world.drive(jobs, Options(slots=1))
    assert [dict(request.env)["MLORCH_PARTITION"] for request in world.executor.requests] == KEYS


@pytest.mark.parametrize("most", [1, 2])
def test_too_many_failures_stop_what_was_not_begun(most: int) -> None:
    world = World(lambda _: Outcome(exit_code=1))
    spec = pipeline("a: {run: tool}", DAYS)
    outcomes = world.drive([world.job(spec, key) for key in KEYS], Options(slots=1, max_failures=most))
    assert len(outcomes) == most


def test_a_consumer_sees_what_its_upstream_did_in_the_same_command() -> None:
    upstream = pipeline("a: {run: 'tool ${{ outputs.x }}', outputs: {x: 'out/${{ partition.key }}'}}", DAYS, name="up")
    consumer = pipeline(
        "b: {run: 'tool ${{ outputs.x }}', inputs: {i: {pipeline: up, output: x}}, outputs: {x: 'res/${{ partition.key }}'}}",
        DAYS,
        name="down",
    )
    world = World()
    world.pipelines = {"up": upstream, "down": consumer}
    assert world.plan(consumer, KEYS[0])["b"].reason.value == "input_missing"
    lock = MemoryLock(world.locks, f"up/{KEYS[0]}")
    assert lock.acquire(wait=0, note="somebody")
    # Somebody else adds to the journal while this command waits: the state is read anew, for the consumer too.
    journal = world.journal("up", KEYS[0])

    def other() -> None:
        if not journal.events:
            journal.open()
            journal.append(
                (RunStarted("r0", "2026-01-05T00:00:00.000Z", "up", KEYS[0]), RunEnded("r0", "x", "failed", 1))
            )
            lock.release()

    world.watcher.ticks = other
    before = world.job(upstream, KEYS[0])
    outcomes = world.drive([before, world.job(consumer, KEYS[0], after=(before,))])
    assert [outcome.run.state for outcome in outcomes] == [RunState.SUCCEEDED] * 2
    assert world.files.text(f"res/{KEYS[0]}") == "b(a())"


# What stops mlorch itself.


def test_what_stops_mlorch_ends_what_runs() -> None:
    world = of("a", SLOW)

    def refuse() -> None:
        raise FileError("the terminal is gone")

    world.watcher.ticks = refuse
    with pytest.raises(FileError):
        world.run(CHAIN)
    assert world.executor.cancelled[:1] == ["r1/a/1"]


def test_a_kill_leaves_a_run_that_the_next_one_calls_lost() -> None:
    world = World()
    world.journal().kill_after = 3
    with pytest.raises(Killed):
        world.run(CHAIN)
    world.crash()
    run = world.run(CHAIN)
    assert [r.state for r in world.state("p", "").runs] == [RunState.LOST, RunState.SUCCEEDED]
    assert run.run_id == "r2"
    assert any("was cut off" in note for note in world.watcher.notes)


def test_nothing_runs_on_when_the_state_cannot_be_written() -> None:
    """Its process is seen to end, also the one that does not end by itself."""
    hangs = Outcome(lasts=None, stubborn=True)
    world = World(lambda request: hangs if "/b/" in request.token else Outcome(lasts=1.0))
    world.journal().room = 3  # the start of the run and of both attempts
    with pytest.raises(StateError):
        world.run(pipeline("a: {run: tool}\nb: {run: tool}"))
    assert world.executor.cancelled == ["r1/b/1"]
    assert world.executor._running == {}
