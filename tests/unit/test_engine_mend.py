"""What a state believes after lines of its journal were lost."""

from __future__ import annotations

from mlorch.engine.fold import INTERRUPTED, fold
from mlorch.engine.mend import Gaps
from mlorch.model import events as ev
from mlorch.model.states import RunState, StepState

AT = "2026-01-05T12:00:00.000Z"


def done(run: str, step: str) -> ev.StepSucceeded:
    return ev.StepSucceeded(run, AT, step, 1, "f", ())


def told(*items: ev.Event | None) -> list[tuple[str, tuple[str, ...]]]:
    """What `Gaps` says of each gap (None)."""
    gaps = Gaps()
    for number, item in enumerate(items):
        gaps.gap(number) if item is None else gaps.line(item)
    return [(run_id, sound) for _, run_id, sound in sorted(gaps.result())]


def test_inside_a_run_what_it_tells_itself_is_believed() -> None:
    start = ev.RunStarted("r1", AT, "p", "")
    reused = ev.StepsReused("r1", AT, ("b",))
    assert told(start, done("r1", "a"), None, reused, ev.RunEnded("r1", AT, "succeeded", 0)) == [("r1", ("a", "b"))]


def test_where_runs_may_have_begun_nothing_is_believed() -> None:
    start, other = ev.RunStarted("r1", AT, "p", ""), ev.RunStarted("r2", AT, "p", "")
    assert told(start, done("r1", "a"), None, other) == [("", ())]
    assert told(start, done("r1", "a"), ev.RunEnded("r1", AT, "succeeded", 0), None, done("r2", "b")) == [("", ())]
    assert told(start, done("r1", "a"), None) == [("", ())]


def test_copies_of_checkpoints_stand_while_the_line_that_closes_them_does() -> None:
    kept = [ev.CheckpointKept("r0", AT, step, 1, "f", ()) for step in "ab"]
    closing = ev.JournalCompacted("r0", AT, 9, 1)
    assert told(kept[0], None, kept[1], closing) == [("", ("a",))]
    assert told(kept[0], None, closing) == [("", ("a",))]
    assert told(*kept, None, ev.RunStarted("r1", AT, "p", "")) == [("", ())]


def test_what_is_doubted_is_not_done_and_not_as_if_never_begun() -> None:
    before = (ev.RunStarted("r1", AT, "p", ""), done("r1", "a"), done("r1", "b"), ev.RunEnded("r1", AT, "succeeded", 0))
    state = fold("p", "", (*before, ev.JournalRepaired("", AT, 2, 5, sound=("b",))))
    assert set(state.checkpoints) == {"b"}
    assert state.unfinished == {"a": INTERRUPTED}
    assert state.doubt
    assert not fold("p", "", before).doubt


def test_recovery_finishes_and_removes_nothing_that_may_be_over() -> None:
    begun = (
        ev.RunStarted("r1", AT, "p", ""),
        ev.AttemptStarted("r1", AT, "a", 1, "forced", aside=(("x", ""), ("y", ".mlorch-r1/y"))),
        ev.PublishIntended("r1", AT, "a", 1, (("s", "x"),), {}),
    )
    (run,) = fold("p", "", (*begun, ev.JournalRepaired("r1", AT, 1, 4))).runs
    assert run.state is RunState.RUNNING
    step = run.steps["a"]
    assert step.publish is None
    assert step.last is not None
    assert step.last.aside == (("y", ".mlorch-r1/y"),)
    (run,) = fold("p", "", (*begun, ev.JournalRepaired("", AT, 1, 4))).runs
    assert run.state is RunState.LOST
    assert run.steps["a"].state is StepState.LOST
