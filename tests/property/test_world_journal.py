"""A journal cut, filled or changed anywhere never tells of an event that was not appended."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.model.errors import StateError
from mlorch.model.events import Event, RunLost, RunStarted, StepEnded
from mlorch.world.journal import FileJournal

AT = "2026-01-05T12:00:00.000Z"
texts = st.text(max_size=12)
made_events = st.one_of(
    st.builds(RunLost, texts, st.just(AT), texts),
    st.builds(StepEnded, texts, st.just(AT), texts, texts, texts),
    st.builds(
        RunStarted, texts, st.just(AT), texts, texts, params=st.lists(st.tuples(texts, texts), max_size=1).map(tuple)
    ),
)
batches = st.lists(st.lists(made_events, min_size=1, max_size=3), min_size=1, max_size=4)
LATER = RunLost("later", AT)


def write(path: Path, given_batches: list[list[Event]]) -> tuple[Event, ...]:
    journal = FileJournal(str(path))
    journal.open()
    for batch in given_batches:
        journal.append(batch)
    journal.close()
    return tuple(event for batch in given_batches for event in batch)


def go_on(path: Path) -> tuple[Event, ...]:
    """Open as the next process does, append, and return what a third one reads."""
    journal = FileJournal(str(path))
    before = journal.open()
    journal.append([LATER])
    journal.close()
    after = FileJournal(str(path)).read()
    assert after == (*before, LATER)
    return before


@given(batches)
@settings(max_examples=6, deadline=None)
def test_cut_at_every_byte(given_batches: list[list[Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        appended = write(whole, given_batches)
        data = whole.read_bytes()
        cut = Path(folder, "cut")
        for size in range(len(data) + 1):
            cut.write_bytes(data[:size])
            read = FileJournal(str(cut)).read()
            assert read == appended[: data[:size].count(b"\n")]
            if size % 7 == 0 or size > len(data) - 3:
                assert go_on(cut) == read


@given(batches, st.data())
@settings(max_examples=60, deadline=None)
def test_bytes_changed_anywhere(given_batches: list[list[Event]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "j")
        appended = write(path, given_batches)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(new)] = new
        path.write_bytes(content)
        try:
            read = go_on(path)
        except StateError:
            assert path.read_bytes() == bytes(content)  # the evidence is kept
        else:
            assert read == appended[: len(read)]


@given(batches, st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_garbage_after_the_end(given_batches: list[list[Event]], garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "j")
        appended = write(path, given_batches)
        with path.open("ab") as file:
            file.write(garbage)
        assert go_on(path) == appended
