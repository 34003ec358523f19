"""Journals that grow with the time stay short by themselves, and nothing that counts is lost with their beginnings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlorch.engine.agenda import Agenda, agenda_of, kept
from mlorch.model import events as ev
from mlorch.model.errors import StateError
from mlorch.model.status import PartitionHealth
from mlorch.session import driving, large
from mlorch.session.agendas import FOLDER
from mlorch.session.options import RunOptions
from mlorch.session.session import Session
from mlorch.session.workspace import Workspace
from mlorch.views.lines import QuietObserver
from mlorch.world.journal import FileJournal

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
mlorch: 1
name: minutely
kind: feature
owner: dana@example.com
schedule: '* * * * *'
steps:
  one:
    run: echo once >> ran.txt && date > ${{ outputs.o }}
    outputs: {o: out/one}
  two:
    run: cp ${{ steps.one.outputs.o }} ${{ outputs.o }}
    outputs: {o: out/two}
"""
KEYS = st.sampled_from(["a", "b", "2026-01-01,é"])
SLOTS = st.sampled_from(["t1", "t2"])


def noted(what: str, key: st.SearchStrategy[str] | None = None, **facts: Any) -> st.SearchStrategy[ev.ScheduleNoted]:
    """Events of one kind; each fact is a strategy or stands for itself."""
    wanted = {name: fact if isinstance(fact, st.SearchStrategy) else st.just(fact) for name, fact in facts.items()}
    return st.builds(
        lambda key, facts: ev.ScheduleNoted("", "2026-01-01T00:00:00.000Z", what, key, tuple(facts.items())),
        st.just("") if key is None else key,
        st.fixed_dictionaries(wanted),
    )


EVENTS = st.one_of(
    noted("ticked", tick=SLOTS, covered=SLOTS, due=st.lists(KEYS), again=st.lists(KEYS)),
    noted("ticked", tick=SLOTS, covered=SLOTS, due=[], missed=["a", "b", 2, "nobody looked"]),
    noted("triggered", name="data", cursor=st.dictionaries(KEYS, st.none() | st.text()), due=st.lists(KEYS), now="t3"),
    noted("taken", KEYS, slot=SLOTS, pid=7, start_ticks=8, boot_id="boot"),
    noted("ended", KEYS, slot=SLOTS, state=st.sampled_from(["done", "failed", "not_ready"]), run_id="r"),
    noted("dropped", keys=st.lists(KEYS), why="x"),
    noted("paused", reason=st.text()),
    noted("resumed", reason=""),
    noted("marked", KEYS, reason="so", **{"as": st.sampled_from(["done", "missing", "none"])}),
)


def through_json(event: ev.Event) -> ev.Event:
    return ev.event(json.loads(json.dumps(ev.record(event))))


@given(st.lists(EVENTS), st.lists(EVENTS), st.lists(EVENTS))
def test_a_schedule_forgets_its_beginning_but_not_what_it_added_up_to(
    first: list[ev.Event], second: list[ev.Event], third: list[ev.Event]
) -> None:
    whole = agenda_of([*first, *second, *third])
    once = kept(first, "t")
    assert once is not None
    twice = kept([through_json(once), *second], "t")
    assert twice is not None
    assert agenda_of([through_json(twice), *third]) == whole


def test_what_a_newer_version_wrote_is_not_given_up() -> None:
    newer = ev.ScheduleNoted("", "t", "moved_to_the_moon", "a", ())
    assert kept([newer], "t") is None


def project(folder: Path, retention: str) -> Path:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "minutely.yaml").write_text(PIPELINE)
    (folder / "mlorch.yaml").write_text(f"mlorch: 1\nretention: {retention}\n")
    return folder


def session(folder: Path, now: str = "") -> Session:
    return Session(Workspace(str(folder), str(folder), now))


def test_the_journal_of_a_schedule_stays_short(tmp_path: Path) -> None:
    folder = project(tmp_path, "{runs: 200}")
    agendas = session(folder).workspace.agendas
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    path = agendas._layout.journal(FOLDER, "minutely")
    longest = 0
    with agendas.open("minutely") as book:
        book.note("marked", "x", **{"as": "done", "reason": "long ago"})
    for burst in range(30):
        with agendas.open("minutely") as book:
            for minute in range(100):
                tick = (begin + timedelta(minutes=100 * burst + minute)).isoformat()
                book.note("ticked", tick=tick, covered=tick, due=[""])
                book.note("ended", "", slot=tick, state="done", run_id="r")
        longest = max(longest, len(FileJournal(path).read()))
    assert longest < 1_600
    found = agendas.of("minutely")
    assert (found.tick, found.pending, found.marks["x"].reason) == (tick, {}, "long ago")
    assert found != Agenda()


def test_runs_beyond_retention_are_given_up_by_the_runs_that_follow(tmp_path: Path) -> None:
    folder = project(tmp_path, "{runs: 2}")
    counts = []
    for _ in range(9):
        outcome = session(folder).run(RunOptions(("minutely",), force=True), QuietObserver(print))
        assert outcome.exit_code == 0
        counts.append(len(session(folder).workspace.state("minutely", "").runs))
    assert counts == [1, 2, 3, 4, 2, 3, 4, 2, 3]
    assert len(session(folder).workspace.layout.run_ids()) == 3
    assert [where for _, where in session(folder).status(())[0].partitions] == [PartitionHealth.DONE]
    again = session(folder).run(RunOptions(("minutely",)), QuietObserver(print))
    assert not again.runs[0].run_id
    assert (folder / "ran.txt").read_text().count("once") == 9


def test_a_large_journal_is_cut_short_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, "{runs: 2}")
    for _ in range(3):
        session(folder).run(RunOptions(("minutely",), force=True), QuietObserver(print))
    monkeypatch.setattr(large, "LARGE_JOURNAL", 10)
    told: list[str] = []
    again = session(folder).run(RunOptions(("minutely",)), QuietObserver(told.append))
    assert not again.runs[0].run_id, "that all is done is not forgotten"
    assert len(session(folder).workspace.state("minutely", "").runs) == 2
    assert "the journal of minutely has" in told[0]


def test_a_large_journal_says_what_a_small_one_says_but_for_its_oldest_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, "{runs: 1}")
    path = session(folder).workspace.layout.journal("minutely", "")
    monkeypatch.setattr(driving, "_trim", lambda *_: None)
    for _ in range(6):
        session(folder).run(RunOptions(("minutely",), force=True), QuietObserver(print))
    whole = session(folder).workspace.state("minutely", "")
    monkeypatch.setattr(large, "LARGE_JOURNAL", 10)
    found = session(folder).workspace.state("minutely", "")
    assert (found.checkpoints, found.unfinished, found.events) == (whole.checkpoints, whole.unfinished, whole.events)
    assert found.runs == whole.runs[-len(found.runs) :]
    assert len(found.runs) < len(whole.runs)
    with open(path, "r+b") as file:
        file.seek(200)
        file.write(b"?")
    with pytest.raises(StateError, match="line 1"):
        session(folder).workspace.state("minutely", "")
