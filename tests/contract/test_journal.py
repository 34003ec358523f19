"""What every journal holds to, the real one and the fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.model.events import AttemptStarted, PublishIntended, RunEnded, RunLost, RunStarted, StepSucceeded
from mlorch.model.manifest import Artifact, Fact
from mlorch.testing.journal import MemoryJournal
from mlorch.world.journal import FileJournal

if TYPE_CHECKING:
    from pathlib import Path

    from mlorch.model.ports import Journal

AT = "2026-01-05T12:00:00.000Z"

EVENTS = (
    RunStarted(
        "r1", AT, "p", "2013-01-01", params=(("rate", 0.5), ("who", "Ünï\n\"'")), selection=("--only x",), steps=2
    ),
    AttemptStarted("r1", AT, "a", 1, "never_done", staging=("out/.x",), aside=(("out/a", "out/.aside"),)),
    PublishIntended("r1", AT, "a", 1, (("out/.x/a", "out/a\udcff"),), {"type": "step_succeeded", "n": [1, None]}),
    StepSucceeded(
        "r1",
        AT,
        "a",
        1,
        "f" * 64,
        (Fact("command", "", "touch x"),),
        (Artifact("out/a", "d", "1:2:3:4", 5, racy=True),),
    ),
    RunEnded("r1", AT, "succeeded", 0),
)


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    if request.param == "file":
        return FileJournal(str(tmp_path / "state/p/_/journal.jsonl"), reserve=str(tmp_path / "reserve"))
    return MemoryJournal()


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.read() == ()
    assert journal.open() == ()


def test_what_was_appended_is_read_back_in_order(journal: Journal) -> None:
    journal.open()
    journal.append(EVENTS[:2])
    journal.append(EVENTS[2:])
    assert journal.read() == EVENTS


def test_the_next_process_goes_on_where_the_last_one_was(journal: Journal) -> None:
    journal.open()
    journal.append(EVENTS[:3])
    journal.flush()
    journal.close()
    assert journal.open() == EVENTS[:3]
    journal.append(EVENTS[3:])
    assert journal.read() == EVENTS


def test_a_reader_sees_what_was_appended_before_it_is_flushed(journal: Journal) -> None:
    journal.open()
    journal.append([RunLost("r", AT)])
    assert len(journal.read()) == 1


def test_appending_nothing_changes_nothing(journal: Journal) -> None:
    journal.open()
    journal.append([])
    journal.flush()
    assert journal.read() == ()


def test_closing_twice_is_fine(journal: Journal) -> None:
    journal.open()
    journal.append(EVENTS[:1])
    journal.close()
    journal.close()
    assert journal.read() == EVENTS[:1]


def test_reading_twice_gives_the_same(journal: Journal) -> None:
    journal.open()
    journal.append(EVENTS)
    assert journal.read() == journal.read()
