"""The committer's thread, on fakes: the order of flushes and moves, one flush for many, and errors that reach the caller."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from mlorch.model.errors import FileError, StateError
from mlorch.model.events import PublishIntended, RunEnded, StepSucceeded
from mlorch.runner.commit import Closing, Committer, Publication, SharedJournal, Taken
from mlorch.testing.clock import HandClock
from mlorch.testing.journal import MemoryJournal
from tests.support.world import FaultyFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.events import Event

TIMEOUT = 10.0


class Bench:
    """A committer with its fakes; `results` waits until so many publications came back."""

    def __init__(self) -> None:
        self.files = FaultyFiles(HandClock())
        self.journal = MemoryJournal()
        self.journal.open()
        self.shared = SharedJournal(self.journal)
        self.woken = threading.Semaphore(0)
        self.committer = Committer(self.files, self.woken.release)

    def publication(self, step: str, *names: str, in_place: tuple[str, ...] = ()) -> Publication:
        for name in names:
            self.files.put(f"out/.mlorch-r1/{name}", name)
        moves = tuple((f"out/.mlorch-r1/{name}", f"out/{name}", name) for name in names)
        success = StepSucceeded("r1", "2026-01-05T12:00:00.000Z", step, 1, "f", ())
        return Publication(self, self.shared, moves, tuple((f"out/{name}", name) for name in in_place), success)

    def results(self, count: int) -> list[tuple[Publication, StepSucceeded | FileError]]:
        found: list[tuple[Publication, StepSucceeded | FileError]] = []
        while len(found) < count:
            self.committer.hurry()
            assert self.woken.acquire(timeout=TIMEOUT), "the committer said nothing"
            found.extend(self.committer.take().published)
        self.committer.close()
        return found


def test_one_move_needs_no_intent() -> None:
    bench = Bench()
    bench.committer.submit(bench.publication("a", "x"))
    [(_, done)] = bench.results(1)
    assert isinstance(done, StepSucceeded)
    assert [(a.name, a.path, a.size) for a in done.outputs] == [("x", "out/x", 1)]
    assert [type(event) for event in bench.journal.events] == [StepSucceeded]
    assert bench.journal.durable == 1
    assert bench.files.flushed == ["/project/out/.mlorch-r1/x"]
    assert bench.files.flushed_folders == ["/project/out/x"]


def test_one_folder_is_announced_too_since_it_takes_two_renames() -> None:
    bench = Bench()
    plain = bench.publication("a", "x")
    folder = Publication(plain.owner, plain.journal, plain.moves, (), plain.success, folders=True)
    bench.committer.submit(folder)
    bench.results(1)
    assert [type(event) for event in bench.journal.events] == [PublishIntended, StepSucceeded]


def test_a_former_output_is_not_taken_for_what_was_staged_and_is_gone() -> None:
    bench = Bench()
    first, second = bench.publication("a", "x"), bench.publication("b", "y")
    bench.files.put("out/x", "former")
    bench.files.remove("out/.mlorch-r1/x")
    bench.committer.submit(first)
    bench.committer.submit(second)
    results = {item.success.step: result for item, result in bench.results(2)}
    gone = results["a"]
    assert isinstance(gone, FileError)
    assert "out/.mlorch-r1/x is gone" in gone.message
    assert isinstance(results["b"], StepSucceeded)
    assert [event.step for event in bench.journal.events if isinstance(event, StepSucceeded)] == ["b"]


def test_several_moves_are_announced_and_the_announcement_is_durable_first() -> None:
    bench = Bench()
    durable: list[int] = []

    def refuse(what: tuple[str, ...]) -> None:
        if what[0] == "swap":
            durable.append(bench.journal.durable)

    bench.files.refuse = refuse
    bench.committer.submit(bench.publication("a", "x", "y", in_place=()))
    bench.results(1)
    assert durable == [1, 1]
    intent, done = bench.journal.events
    assert isinstance(intent, PublishIntended)
    assert isinstance(done, StepSucceeded)
    assert intent.moves == (("out/.mlorch-r1/x", "out/x"), ("out/.mlorch-r1/y", "out/y"))


def test_all_that_finished_together_share_a_flush() -> None:
    bench = Bench()
    many = [bench.publication(f"s{n}", f"f{n}") for n in range(50)]
    for one in many:
        bench.committer.submit(one)
    assert {result[0].success.step for result in bench.results(50)} == {f"s{n}" for n in range(50)}
    assert bench.journal.flushes < 25
    assert bench.journal.durable == 50


def test_a_place_that_refuses_fails_its_own_step_only() -> None:
    bench = Bench()
    bench.files.make_folder("out/bad")
    bench.committer.submit(bench.publication("a", "x"))
    bench.committer.submit(bench.publication("b", "bad"))
    bench.committer.submit(bench.publication("c", "y", "z"))
    results = {publication.success.step: result for publication, result in bench.results(3)}
    assert isinstance(results["b"], FileError)
    assert isinstance(results["a"], StepSucceeded)
    assert isinstance(results["c"], StepSucceeded)
    assert [e.step for e in bench.journal.events if isinstance(e, StepSucceeded)].count("a") == 1


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_if_one_of_several_is_refused_all_stay_as_they_were(refused: int) -> None:
    bench = Bench()
    names = ["x", "y", "z"]
    for name in names:
        bench.files.put(f"out/{name}", f"former {name}")
    bench.files.remove("out/z")
    item = bench.publication("a", *names)
    bad = names[refused]
    bench.files.remove(f"out/{bad}")
    bench.files.make_folder(f"out/{bad}/in_the_way")
    before = {path: bench.files.text(path) for path in bench.files.listing() if ".mlorch" not in path}
    bench.committer.submit(item)
    bench.committer.submit(bench.publication("b", "other"))
    results = {found.success.step: result for found, result in bench.results(2)}
    error = results["a"]
    assert isinstance(error, FileError)
    assert f"out/{bad}" in error.message
    assert isinstance(results["b"], StepSucceeded)
    after = {path: bench.files.text(path) for path in bench.files.listing() if ".mlorch" not in path}
    assert after == before | {"out/other": "other"}
    assert [bench.files.text(staged) for staged, _, _ in item.moves] == names, "nothing is thrown away"


def test_outputs_that_cannot_be_read_again_are_taken_back() -> None:
    bench = Bench()
    bench.files.put("out/x", "former")
    bench.files.unreadable["out/y"] = FileError("cannot read out/y")
    bench.committer.submit(bench.publication("a", "x", "y"))
    [(_, error)] = bench.results(1)
    assert isinstance(error, FileError)
    assert (bench.files.text("out/x"), bench.files.text("out/y")) == ("former", None)


def test_what_waits_aside_is_kept_when_an_output_is_refused() -> None:
    bench = Bench()
    bench.files.put("out/.mlorch-r1/old", "former of an output in place")
    bench.files.make_folder("out/x/in_the_way")
    bench.committer.submit(bench.publication("a", "x")._replace(discard=("out/.mlorch-r1/old",)))
    bench.results(1)
    assert bench.files.text("out/.mlorch-r1/old") == "former of an output in place"


def test_what_cannot_be_put_back_stops_everything_and_is_kept() -> None:
    bench = Bench()
    bench.files.put("out/x", "former")
    bench.files.make_folder("out/y/in_the_way")
    bench.files.refuse = lambda what: FileError("not permitted") if what[0] == "unswap" else None
    bench.committer.submit(bench.publication("a", "x", "y"))
    with pytest.raises(StateError, match="waits at out"):
        bench.results(1)
    assert bench.files.text("out/.mlorch-r1/x") == "former"
    bench.committer.close()


def test_former_outputs_go_when_the_success_is_recorded() -> None:
    bench = Bench()
    bench.files.put("out/x", "former")
    bench.committer.submit(bench.publication("a", "x", "y"))
    bench.results(1)
    assert [path for path in bench.files.listing() if ".mlorch" in path] == []


def test_what_cannot_be_thrown_away_does_not_undo_a_success() -> None:
    bench = Bench()
    bench.files.refuse = lambda what: FileError("busy") if what[0] == "remove" else None
    plain = bench.publication("a", "x")
    bench.committer.submit(
        Publication(plain.owner, plain.journal, plain.moves, plain.in_place, plain.success, ("out/.mlorch-r1/old",))
    )
    [(_, done)] = bench.results(1)
    assert isinstance(done, StepSucceeded)
    assert len(bench.journal.events) == 1


@pytest.mark.parametrize("fault", ["flush", "room"])
def test_a_disk_that_fails_reaches_the_caller(fault: str) -> None:
    bench = Bench()
    if fault == "flush":
        bench.journal.flush_fails = True
    else:
        bench.journal.room = 0
    bench.committer.submit(bench.publication("a", "x"))
    with pytest.raises(StateError):
        bench.results(1)
    with pytest.raises(StateError):
        bench.committer.take()
    bench.committer.close()


def test_where_no_thread_can_be_started_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    bench = Bench()
    with pytest.raises(StateError, match="cannot start a thread"):
        bench.committer.submit(bench.publication("a", "x"))
    bench.committer.close()


def test_closing_leaves_what_is_queued_for_recovery() -> None:
    bench = Bench()
    bench.committer.close()
    bench.committer.submit(bench.publication("a", "x"))
    bench.committer.close()
    assert bench.committer.take() == Taken([], [])
    assert bench.journal.events == ()


def ending(bench: Bench, *folders: str) -> Closing:
    for folder in folders:
        bench.files.put(f"{folder}/left", "left")
    return Closing(bench, bench.shared, folders, RunEnded("r1", "2026-01-05T12:00:01.000Z", "succeeded", 0))


def ends(bench: Bench, count: int) -> list[tuple[Closing, tuple[str, ...]]]:
    found: list[tuple[Closing, tuple[str, ...]]] = []
    while len(found) < count:
        bench.committer.hurry()
        assert bench.woken.acquire(timeout=TIMEOUT), "the committer said nothing"
        found.extend(bench.committer.take().ended)
    bench.committer.close()
    return found


def test_a_run_ends_on_record_when_its_staging_folders_are_durably_gone() -> None:
    bench = Bench()
    closing = ending(bench, "out/.mlorch-r1")
    flushed: list[tuple[str, ...]] = []
    append = bench.shared.append

    def appending(events: Iterable[Event]) -> None:
        flushed.append(tuple(bench.files.flushed_folders))
        append(events)

    bench.shared.append = appending  # type: ignore[method-assign] # to see what was durable before
    bench.committer.end(closing)
    assert ends(bench, 1) == [(closing, ())]
    assert flushed == [("/project/out/.mlorch-r1",)]
    assert not bench.files.exists("out/.mlorch-r1")
    assert bench.journal.events == (closing.end,)
    assert bench.journal.durable == 1


def test_a_folder_that_cannot_be_removed_is_told_and_ends_the_run_all_the_same() -> None:
    bench = Bench()
    closing = ending(bench, "a/.mlorch-r1", "b/.mlorch-r1")
    refusal = FileError("a/.mlorch-r1 cannot be removed")
    bench.files.refuse = lambda what: refusal if what[0] == "remove" and "a/.mlorch-r1" in what[1] else None
    bench.committer.end(closing)
    assert ends(bench, 1) == [(closing, ("a/.mlorch-r1 cannot be removed",))]
    assert not bench.files.exists("b/.mlorch-r1")
    assert bench.journal.events == (closing.end,)


def test_runs_end_though_a_step_of_another_is_refused_its_place() -> None:
    bench = Bench()
    other = MemoryJournal()
    other.open()
    closing = ending(bench, "out/.mlorch-r2")._replace(journal=SharedJournal(other))
    bench.files.make_folder("out/bad")
    bench.committer.submit(bench.publication("a", "x"))
    bench.committer.submit(bench.publication("b", "bad"))
    bench.committer.end(closing)
    assert ends(bench, 1) == [(closing, ())]
    assert other.events == (closing.end,)
    assert [event.step for event in bench.journal.events if isinstance(event, StepSucceeded)] == ["a"]


def test_steps_and_runs_that_end_together_share_their_flushes() -> None:
    bench = Bench()
    journals = [MemoryJournal() for _ in range(8)]
    flushed: list[int] = []
    bench.committer = Committer(bench.files, bench.woken.release, lambda given: flushed.append(len(given)))
    with bench.committer._condition:  # what is handed over meanwhile is one batch
        for journal in journals:
            journal.open()
            bench.committer.end(ending(bench)._replace(journal=SharedJournal(journal)))
    assert len(ends(bench, 8)) == 8
    assert flushed == [8]
