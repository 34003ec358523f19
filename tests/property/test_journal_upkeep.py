"""Journals compacted or repaired: never a step done that was not, and by compaction never one lost."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.engine.fold import counted, fold
from mlorch.model import events as ev
from mlorch.model.errors import StateError
from mlorch.session.compaction import compact, spans_of
from mlorch.session.examine import JournalDoctor, look
from mlorch.world import scan
from mlorch.world.journal import FileJournal
from mlorch.world.layout import StateLayout
from tests.support.histories import histories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.model.history import PartitionState

AT = "2026-02-01T00:00:00.000Z"


def write(path: Path, events: tuple[ev.Event, ...]) -> None:
    journal = FileJournal(str(path))
    journal.open()
    journal.append(events)
    journal.close()


def read(path: Path) -> tuple[ev.Event, ...]:
    return FileJournal(str(path)).read()


def standing(state: PartitionState) -> tuple[object, ...]:
    """All of the state but its runs: whatever is added to it must survive, too."""
    names = [name for name in state.__slots__ if name != "runs"]
    return tuple(getattr(state, name) for name in names)


@given(histories(), st.data())
@settings(max_examples=60, deadline=None)
def test_compaction_keeps_what_is_done(events: tuple[ev.Event, ...], data: st.DataObject) -> None:
    before = fold("p", "", events)
    given_up = data.draw(st.sets(st.sampled_from([run.run_id for run in before.runs])))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        write(path, events)
        for _ in range(2):  # a second time what is left is compacted like any journal
            compact(str(path), spans_of(str(path)).cut(given_up), lambda: AT)
            left = read(path)
            after = fold("p", "", left)
            assert standing(after) == standing(before)
            assert counted(left) == after.events
            kept = [run.run_id for run in after.runs]
            assert after.runs == before.runs[len(before.runs) - len(kept) :]
            assert kept
            assert not [run for run in before.runs if run.run_id not in kept and run.run_id not in given_up]


@given(histories(most=3), st.data())
@settings(max_examples=25, deadline=None)
def test_two_readings_with_one_count_saw_one_journal(events: tuple[ev.Event, ...], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        write(path, events)
        before = counted(read(path))
        compact(str(path), spans_of(str(path)).cut({run.run_id for run in fold("p", "", events).runs}), lambda: AT)
        assert counted(read(path)) == before
        further = data.draw(st.integers(1, 3))
        journal = FileJournal(str(path))
        journal.open()
        journal.append([ev.RunLost("later", AT)] * further)
        journal.close()
        assert counted(read(path)) == before + further


@st.composite
def damages(draw: st.DrawFn, lines: list[bytes]) -> list[bytes]:
    """Lines changed, taken out or doubled anywhere but at the end, where it would look like the trace of a crash."""
    out = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        if len(out) < 2:
            break
        at = draw(st.integers(0, len(out) - 2))
        length = draw(st.integers(1, min(4, len(out) - 1 - at)))
        match draw(st.sampled_from(("flip", "drop", "double", "garbage"))):
            case "flip":
                spoiled = bytearray(out[at])
                # Not its end: with that it may become one with the last line, and so the trace of a crash.
                spoiled[draw(st.integers(0, len(spoiled) - 2))] ^= 1 << draw(st.integers(0, 6))
                out[at] = bytes(spoiled)
            case "drop":
                del out[at : at + length]
            case "double":
                out[at:at] = out[at : at + length]
            case _:
                out[at : at + length] = [draw(st.binary(max_size=40)) + b"\n"]
    return out


@given(histories(), st.data())
@settings(max_examples=120, deadline=None)
def test_a_repaired_journal_never_says_done_of_what_was_not(events: tuple[ev.Event, ...], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = StateLayout(folder)
        layout.create_partition("p", "")
        path = Path(layout.journal("p", ""))
        if data.draw(st.booleans()):
            write(path, events)
            compact(str(path), spans_of(str(path)).cut({"r000", "r001"}), lambda: AT)
        else:
            write(path, events)
        truth = fold("p", "", read(path))
        lines = path.read_bytes().splitlines(keepends=True)
        spoiled = b"".join(data.draw(damages(lines)))
        path.write_bytes(spoiled)
        found = list(JournalDoctor(layout, lambda: AT, repair=True).findings())
        after = fold("p", "", read(path))
        for step, checkpoint in after.checkpoints.items():
            if step not in after.unfinished:
                assert truth.checkpoints.get(step) == checkpoint
                assert step not in truth.unfinished
        assert not look(str(path)).survey.damages
        if spoiled != b"".join(lines):
            assert found[0].mended
            assert next(path.parent.glob("*.damaged-*")).read_bytes() == spoiled
            # Recovery undoes or finishes only what nobody can have done since.
            for run in after.runs[:-1]:
                assert run.state != "running"
            assert not any(
                step.publish is not None and step.id in truth.checkpoints and step.state == "running"
                for run in after.runs
                for step in run.steps.values()
                if _finished_elsewhere(events, run.run_id, step.id)
            )
        else:
            assert after == truth


def _finished_elsewhere(events: tuple[ev.Event, ...], run_id: str, step: str) -> bool:
    return any(isinstance(e, ev.StepSucceeded) and (e.run_id, e.step) == (run_id, step) for e in events)


@given(histories(most=3))
@settings(max_examples=8, deadline=None)
def test_a_compaction_cut_off_anywhere_changes_nothing(events: tuple[ev.Event, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        write(path, events)
        whole = path.read_bytes()
        before = fold("p", "", events)
        lines = len(scan_lines(path))
        for stop in range(lines + 1):

            def until(stop: int = stop) -> Iterator[bytes]:
                for number, line in enumerate(whole.splitlines(keepends=True)):
                    assert read(path) == events, "a reader without a lock sees the old journal, whole"
                    if number == stop:
                        raise StateError("no room")
                    yield line

            if stop < lines:
                with pytest.raises(StateError):
                    scan.rewrite(str(path), until())
                assert path.read_bytes() == whole
        cut = spans_of(str(path)).cut({run.run_id for run in before.runs})
        Path(f"{path}.new").write_bytes(whole[: len(whole) // 2])  # what a kill leaves
        compact(str(path), cut, lambda: AT)
        assert standing(fold("p", "", read(path))) == standing(before)
        assert os.listdir(folder) == ["journal.jsonl"]


def scan_lines(path: Path) -> list[scan.Good | scan.Damage]:
    return list(scan.believed(str(path), scan.Survey()))
