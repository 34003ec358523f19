"""An attempt that ended after its mlorch was killed: its result counts, unless something has changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.model.events import AttemptEnded, AttemptStarted, RunLost, StepSucceeded
from mlorch.model.states import RunState
from mlorch.testing.executor import Outcome
from mlorch.testing.journal import Killed
from tests.support.specs import pipeline
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.spec import Pipeline

PLAIN = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}}"
IN_PLACE = "a: {run: 'tool out/a', outputs: {x: {path: out/a, write: in_place}}}"
FOLDER = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a/}}"
TWO = "a: {run: 'tool ${{ outputs.x }} ${{ outputs.y }}', outputs: {x: out/a, y: out/b}}"


def deserted(spec: Pipeline, *, end_well: bool, former: str = "", after: int = 2) -> World:
    """A world in which mlorch was killed right after the step was started; the step went on alone."""
    world = World(lambda _: Outcome(lasts=5.0))
    if former:
        world.files.put("out/a", former)
    world.script = lambda _: Outcome(lasts=None)
    world.watcher.ticks = kill
    with pytest.raises(KeyboardInterrupt):
        world.run(spec)
    assert len(world.events()) == after
    world.watcher.ticks = lambda: None
    world.crash(end_well=end_well)
    world.script = lambda _: Outcome(lasts=1.0)
    world.clock.advance(60.0)
    return world


def kill() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("text", [PLAIN, IN_PLACE, FOLDER, TWO])
@pytest.mark.parametrize("former", ["", "older"])
def test_it_is_adopted_when_it_ended_well(text: str, former: str) -> None:
    spec = pipeline(text)
    world = deserted(spec, end_well=True, former="" if text is FOLDER else former)
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert world.started == ["a"]
    assert world.files.text("out/a/part" if text is FOLDER else "out/a") == "a()"
    assert world.left_over() == []
    assert next(type(event) for event in world.events()[2:5]) is RunLost
    done = next(event for event in world.events() if isinstance(event, StepSucceeded))
    assert (done.run_id, done.step) == ("r2", "a")
    assert "adopted from run r1" in run.steps["a"].detail
    assert world.run(spec).run_id == ""


@pytest.mark.parametrize("text", [PLAIN, IN_PLACE])
@pytest.mark.parametrize("former", ["", "older"])
def test_it_runs_afresh_when_it_was_lost(text: str, former: str) -> None:
    spec = pipeline(text)
    world = deserted(spec, end_well=False, former=former)
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert world.started == ["a", "a"]
    assert run.steps["a"].reason == "interrupted"
    assert world.files.text("out/a") == "a()"
    assert world.left_over() == []


@pytest.mark.parametrize("former", ["", "older"])
@pytest.mark.parametrize("text", [PLAIN, IN_PLACE])
def test_it_is_not_adopted_when_its_manifest_changed(text: str, former: str) -> None:
    world = deserted(pipeline(text), end_well=True, former=former)
    changed = pipeline(text.replace("tool", "other"))
    world.script = lambda _: Outcome(exit_code=3)
    run = world.run(changed)
    assert world.started == ["a", "a"]
    assert states(run) == {"a": "failed"}
    assert world.files.text("out/a") == (former or None), "a failed attempt leaves what stood there before the lost one"
    assert world.left_over() == []


def test_force_runs_it_afresh() -> None:
    spec = pipeline(PLAIN)
    world = deserted(spec, end_well=True)
    run = world.run(spec, force=["a"])
    assert world.started == ["a", "a"]
    assert (run.steps["a"].reason, run.state) == ("forced", RunState.SUCCEEDED)


def test_what_left_no_output_runs_afresh_instead_of_failing() -> None:
    spec = pipeline(PLAIN)
    world = deserted(spec, end_well=True)
    world.files.remove("out/.mlorch-r1")
    run = world.run(spec)
    assert world.started == ["a", "a"]
    assert run.state is RunState.SUCCEEDED


@pytest.mark.parametrize("text", [PLAIN, FOLDER, TWO])
def test_what_is_not_selected_waits_for_the_run_that_selects_it(text: str) -> None:
    spec = pipeline(text + "\nb: {run: 'tool ${{ outputs.x }}', outputs: {x: out/other}}")
    world = deserted(spec, end_well=True, after=3)
    world.ends.pop("r1/b/1")
    for only in (["b"], ["b"]):
        world.run(spec, only=only, force=only)
        assert world.files.text("out/a") is None
    run = world.run(spec)
    assert (states(run), world.started.count("a")) == ({"a": "succeeded", "b": "cached"}, 1)
    assert "adopted from run r1" in run.steps["a"].detail
    assert world.left_over() == []


def test_what_a_run_does_not_come_to_waits_for_the_next() -> None:
    spec = pipeline(PLAIN + "\nb: {run: tool}")
    world = deserted(spec, end_well=True, after=3)
    world.ends.pop("r1/b/1")
    world.script = lambda _: Outcome(exit_code=1)
    blocked = pipeline(PLAIN.replace("a: {", "a: {needs: [b], ") + "\nb: {run: tool}")
    assert states(world.run(blocked)) == {"a": "blocked", "b": "failed"}
    world.script = lambda _: Outcome()
    run = world.run(spec)
    assert (states(run), world.started.count("a")) == ({"a": "succeeded", "b": "succeeded"}, 1)
    assert world.left_over() == []


def test_what_is_not_selected_and_has_changed_meanwhile_runs_afresh() -> None:
    spec = pipeline(PLAIN + "\nb: {run: tool}")
    world = deserted(spec, end_well=True, after=3)
    world.run(spec, only=["b"])
    world.run(pipeline(PLAIN.replace("tool", "other") + "\nb: {run: tool}"))
    assert world.started.count("a") == 2
    assert world.left_over() == []


def test_what_belongs_to_no_step_any_more_goes() -> None:
    spec = pipeline(PLAIN + "\nb: {run: tool}")
    world = deserted(spec, end_well=True, after=3)
    world.run(spec, only=["b"])
    world.run(pipeline("b: {run: other}"))
    assert world.left_over() == []


def test_what_was_written_in_place_and_is_not_selected_is_undone() -> None:
    spec = pipeline(IN_PLACE + "\nb: {run: 'tool ${{ outputs.x }}', outputs: {x: out/b}}")
    world = deserted(spec, end_well=True, former="older", after=3)
    world.run(spec, only=["b"])
    assert world.files.text("out/a") == "older"
    assert world.left_over() == []


def test_its_check_commands_run_after_the_adoption() -> None:
    text = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}, checks: [{run: 'look ${{ outputs.x }}'}]}"
    spec = pipeline(text)
    world = deserted(spec, end_well=True)
    world.script = lambda _: Outcome(exit_code=1)
    run = world.run(spec)
    assert world.started == ["a"]
    assert states(run) == {"a": "failed"}
    assert world.files.text("out/a") is None
    assert world.left_over() == []


def test_killed_between_its_recovery_and_its_adoption() -> None:
    """The lost run is told of by then; what it left is adopted by the third run, or undone."""
    text = "first: {run: tool}\n" + IN_PLACE.replace("a: {", "a: {needs: [first], ")
    spec = pipeline(text)
    world = World(lambda _: Outcome(lasts=None))
    world.files.put("out/a", "older")
    world.script = lambda request: Outcome(lasts=None if "/a/" in request.token else 0.0)
    world.watcher.ticks = lambda: kill() if world.executor.running() and "a" in world.started else None
    with pytest.raises(KeyboardInterrupt):
        world.run(spec)
    world.watcher.ticks = lambda: None
    world.crash(end_well=True)
    world.journal().kill_after = len(world.events()) + 2
    assert world.killed(spec)
    assert any(isinstance(event, RunLost) for event in world.events())
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert world.started == ["first", "a"]
    assert world.files.text("out/a") == "a()"
    assert world.left_over() == []


def test_outside_effects_are_not_repeated_when_the_manifest_changed() -> None:
    text = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}, side_effects: external}"
    world = deserted(pipeline(text), end_well=True)
    run = world.run(pipeline(text.replace("tool", "other")))
    assert world.started == ["a"]
    assert (run.steps["a"].state, run.steps["a"].reason) == ("failed", "unsafe")
    assert world.left_over() == []


@pytest.mark.parametrize("former", ["", "older"])
def test_cut_off_between_its_rename_and_its_record(former: str) -> None:
    """Also where the command kept the old time of what it copied."""
    spec = pipeline(PLAIN)
    world = World(lambda _: Outcome(lasts=1.0))
    if former:
        world.files.put("out/a", former)
    world.clock.advance(3600.0)
    world.run(spec)
    del world.journal()._events[2:]
    world.crash()
    assert world.files.text("out/a") == "a()"
    world.files.age("out/a", 7200.0)
    run = world.run(spec)
    assert "adopted" in run.steps["a"].detail
    assert world.started == ["a"]


def test_a_former_output_is_not_taken_for_what_a_step_did_not_write() -> None:
    spec = pipeline(PLAIN)
    world = World(lambda _: Outcome(lasts=5.0))
    world.files.put("out/a", "older")
    world.silent.add("a")
    world.clock.advance(3600.0)
    world.watcher.ticks = kill
    with pytest.raises(KeyboardInterrupt):
        world.run(spec)
    world.watcher.ticks = lambda: None
    world.crash(end_well=True)
    world.silent.clear()
    world.run(spec)
    assert world.started == ["a", "a"]
    assert world.files.text("out/a") == "a()"


def test_an_intent_is_finished_and_its_step_does_not_run_again() -> None:
    spec = pipeline(TWO)
    world = World()
    world.files.put("out/a", "older")
    whole = World()
    whole.run(spec)
    moves = [index for index, change in enumerate(whole.files.changes, 1) if change[0] == "swap"]
    world.files.kill_at = moves[1]
    assert world.killed(spec)
    assert (world.files.text("out/a"), world.files.text("out/b")) == ("a()", None)
    assert world.run(spec).run_id == "", "recovery did it all"
    assert (world.files.text("out/a"), world.files.text("out/b")) == ("a()", "a()")
    assert world.started == ["a"]
    assert world.left_over() == []


def test_an_intent_that_cannot_be_finished_is_a_failed_attempt() -> None:
    spec = pipeline(TWO)
    world = World()
    world.journal().kill_after = 3
    assert world.killed(spec)
    world.files.make_folder("out/b/in_the_way")
    world.files.put("out/a", "former")
    run = world.run(spec)
    assert any(isinstance(event, AttemptEnded) and event.cause == "output" for event in world.events())
    assert states(run) == {"a": "failed"}
    assert world.files.text("out/a") == "former", "all or nothing"
    assert world.left_over() == []
    world.files.remove("out/b")
    assert world.run(spec).state is RunState.SUCCEEDED


def test_a_refused_publication_is_not_finished_by_the_next_run() -> None:
    """The intent stands in the journal, and after it that the attempt failed."""
    spec = pipeline(TWO + "\nc: {run: tool, needs: []}")
    world = World()
    world.files.make_folder("out/b/in_the_way")
    world.script = lambda request: Outcome(lasts=9.0 if "/c/" in request.token else 0.0)
    world.watcher.ticks = lambda: kill() if any(isinstance(e, AttemptEnded) for e in world.events()) else None
    with pytest.raises(KeyboardInterrupt):
        world.run(spec)
    world.watcher.ticks = lambda: None
    world.crash()
    world.files.remove("out/b")
    world.files.put("out/b", "put here by hand")
    run = world.run(spec)
    assert run.steps["a"].reason == "last_attempt_failed"
    assert world.started.count("a") == 2


def test_adopting_takes_a_number_of_its_own() -> None:
    spec = pipeline(PLAIN)
    world = deserted(spec, end_well=True)
    run = world.run(spec)
    attempts = [(e.run_id, e.attempt, e.reason) for e in world.events() if isinstance(e, AttemptStarted)]
    assert attempts == [("r1", 1, "never_done"), ("r2", 1, "interrupted")]
    assert run.steps["a"].attempts[0].log == "runs/r1/a.1.log"


@pytest.mark.parametrize("taken_away", [False, True])
def test_an_announced_publication_is_finished_unless_what_was_staged_is_gone(*, taken_away: bool) -> None:
    spec = pipeline(TWO)
    world = World()
    for path in ("out/a", "out/b"):
        world.files.put(path, "former")

    def kill_before_the_second(what: tuple[str, ...]) -> None:
        if what[0] == "swap" and what[2] == "out/b":
            raise Killed

    world.files.refuse = kill_before_the_second
    with pytest.raises(Killed):
        world.run(spec)
    world.files.refuse = lambda _: None
    world.crash()
    if taken_away:
        world.files.remove("out/.mlorch-r1/b")
    world.run(spec)
    assert world.started == (["a", "a"] if taken_away else ["a"])
    assert "former" not in {world.files.text("out/a"), world.files.text("out/b")}
    assert world.left_over() == []


@pytest.mark.parametrize("kill", [1, 2, 3])
def test_an_intent_that_is_refused_can_be_taken_back_after_a_kill_at_any_of_its_changes(kill: int) -> None:
    spec = pipeline(TWO)
    world = World()
    world.files.put("out/a", "former")
    world.files.make_folder("out/b/in_the_way")
    changes = 0

    def killing(what: tuple[str, ...]) -> None:
        nonlocal changes
        changes += what[0] in ("swap", "unswap")
        if changes == kill and what[0] in ("swap", "unswap"):
            raise Killed

    world.files.refuse = killing
    with pytest.raises(Killed):
        world.run(spec)
    world.files.refuse = lambda _: None
    world.crash()
    assert states(world.run(spec)) == {"a": "failed"}
    assert world.files.text("out/a") == "former"
    assert world.left_over() == []
