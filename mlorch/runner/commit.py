"""Publishing outputs durably, and ending runs, many at once: one flush for all that finished together.

The order is that of guarantees.md: output bytes are flushed, then the intent (where there is more than one move), then
the renames, the folders, and `step_succeeded`; only then does anybody hear that the step is done. Likewise a run: its staging folders
are removed, the folders that held them flushed, then `run_ended` is recorded.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mlorch.model.errors import FileError, StateError
from mlorch.model.events import PublishIntended, StepSucceeded, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlorch.model.events import Event, RunEnded
    from mlorch.model.manifest import Artifact
    from mlorch.model.ports import Files, Journal

# Nothing waits longer than this for others to share a flush with (seconds).
LINGER = 0.05


class SharedJournal:
    """A journal that two threads append to."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lock = threading.Lock()

    def append(self, events: Iterable[Event]) -> None:
        """As `Journal.append`."""
        with self._lock:
            self.journal.append(events)

    def flush(self) -> None:
        """As `Journal.flush`."""
        self.journal.flush()


class Publication(NamedTuple):
    """A step whose command and checks succeeded. `moves` are (staged, final, output name); `success` lacks its outputs.

    `in_place` are (path, output name) that already stand where they belong; `discard` is removed when all is recorded.
    `folders`: there are folders among what moves, and a folder takes more than one system call to replace.
    """

    owner: object
    journal: SharedJournal
    moves: tuple[tuple[str, str, str], ...]
    in_place: tuple[tuple[str, str], ...]
    success: StepSucceeded
    discard: tuple[str, ...] = ()
    folders: bool = False


class Closing(NamedTuple):
    """A run whose steps have all ended: `folders` are removed, then `end` is recorded."""

    owner: object
    journal: SharedJournal
    folders: tuple[str, ...]
    end: RunEnded


class Taken(NamedTuple):
    """What became durable.

    Publications, each with its record or why its outputs could not be put in place; and ends of runs, each with why folders of it
    could not be removed.
    """

    published: list[tuple[Publication, StepSucceeded | FileError]]
    ended: list[tuple[Closing, tuple[str, ...]]]


def flush_each(journals: Sequence[Journal]) -> None:
    """Make what was appended durable, one journal after another."""
    for journal in journals:
        journal.flush()


class Committer:
    """A thread that publishes and ends runs. `submit` and `end` hand over, `take` gets back what is durable.

    A failure is raised by `take`. `flush_journals` makes several journals durable.
    """

    def __init__(
        self,
        files: Files,
        wake: Callable[[], None],
        flush_journals: Callable[[Sequence[Journal]], None] = flush_each,
    ) -> None:
        self._files = files
        self._wake = wake
        self._flush_journals = flush_journals
        self._condition = threading.Condition()
        self._queue: deque[Publication] = deque()
        self._ends: deque[Closing] = deque()
        self._done = Taken([], [])
        self._error: BaseException | None = None
        self._hurry = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, publication: Publication) -> None:
        """Hand over a step. It is published within `LINGER`, sooner after `hurry`."""
        with self._condition:
            self._queue.append(publication)
            self._something(len(self._queue) + len(self._ends))

    def end(self, closing: Closing) -> None:
        """Hand over a run, whose steps are all published. It is ended as soon as a step would be published."""
        with self._condition:
            self._ends.append(closing)
            self._something(len(self._queue) + len(self._ends))

    def _something(self, waiting: int) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="mlorch-commit", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise StateError(
                    "cannot start a thread: this user, or the machine, may have no more of them", "raise `ulimit -u`"
                ) from error
            self._thread = thread
        elif waiting == 1:
            # It sleeps without a limit only while there is nothing; waking it for each would cost a switch of threads.
            self._condition.notify()

    def hurry(self) -> None:
        """Somebody waits for what was handed over."""
        with self._condition:
            if (self._queue or self._ends) and not self._hurry:
                self._hurry = True
                self._condition.notify()

    def take(self) -> Taken:
        """What became durable since. Raises what stopped the thread (`StateError` for a disk that fails)."""
        with self._condition:
            if self._error is not None:
                raise self._error
            done, self._done = self._done, Taken([], [])
        return done

    def close(self) -> None:
        """End the thread after what it is doing; what is queued stays unpublished and is recovered later."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._ends and not self._closed:
                    self._condition.wait()
                if not self._hurry and not self._closed:
                    self._condition.wait_for(lambda: self._hurry or self._closed, LINGER)
                if self._closed:
                    return
                batch, ends = list(self._queue), list(self._ends)
                self._queue.clear()
                self._ends.clear()
                self._hurry = False
            try:
                done = self._bring_about(batch, ends)
            except BaseException as error:  # noqa: BLE001 - raised again by `take`, in the caller's thread
                with self._condition:
                    self._error = error
                self._wake()
                return
            with self._condition:
                self._done.published.extend(done.published)
                self._done.ended.extend(done.ended)
            self._wake()

    def _bring_about(self, batch: list[Publication], ends: list[Closing]) -> Taken:
        """All together; one by one if a file of one of them cannot be put in place, so that only that step fails."""
        ended = [(closing, self._clear(closing)) for closing in ends]
        done: list[tuple[Publication, StepSucceeded | FileError]] = []
        there = []
        for item in batch:
            gone = self._gone(item)
            if gone is None:
                there.append(item)
            else:
                done.append((item, gone))
        try:
            return Taken([*done, *self._publish(there, ends)], ended)
        except FileError:
            self._publish([], ends)
        return Taken([*done, *(self._publish_alone(item) for item in there)], ended)

    def _clear(self, closing: Closing) -> tuple[str, ...]:
        """Remove what a run staged. That something cannot be removed is told, and harms nothing."""
        problems = []
        for folder in closing.folders:
            try:
                self._files.remove(folder)
            except FileError as error:
                problems.append(error.message)
        return tuple(problems)

    def _publish_alone(self, item: Publication) -> tuple[Publication, StepSucceeded | FileError]:
        try:
            return self._publish([item], [])[0]
        except FileError as error:
            return item, error

    def _gone(self, item: Publication) -> FileError | None:
        """A move takes "nothing staged, something at the final path" for its own work, done before a crash.

        Here, where nothing was moved yet, it would take a former output for a new one.
        """
        for staged, _, _ in item.moves:
            if not self._files.exists(staged):
                return FileError(f"what was staged at {staged} is gone", "run the step again", staged)
        return None

    def _publish(
        self, batch: list[Publication], ends: list[Closing]
    ) -> list[tuple[Publication, StepSucceeded | FileError]]:
        files = self._files
        finals = [final for item in batch for _, final, _ in item.moves] + [
            path for item in batch for path, _ in item.in_place
        ]
        staged = [staged for item in batch for staged, _, _ in item.moves]
        if finals:
            files.flush([*staged, *(path for item in batch for path, _ in item.in_place)])
        announced = [item for item in batch if len(item.moves) > 1 or item.folders]
        intents = {id(item): self._intent(item) for item in announced}
        if announced:
            # Whoever reads the intent relies on what it names being there.
            places = [place for item in announced for place, _, _ in item.moves]
            files.flush_folders([*places, *(place.rpartition("/")[0] for place in places)])
            for item in announced:
                item.journal.append((intents[id(item)],))
            self._flush(announced)
        refused = {id(item): error for item in batch if (error := self._move(item, intents.get(id(item)))) is not None}
        changed = [*finals, *(folder for closing in ends for folder in closing.folders)]
        if changed:
            files.flush_folders(changed)
        done: list[tuple[Publication, StepSucceeded | FileError]] = [
            (item, refused.get(id(item)) or self._with_outputs(item, intents.get(id(item)))) for item in batch
        ]
        items: list[Publication | Closing] = [*batch, *ends]
        records: dict[int, list[Event]] = {id(item.journal): [] for item in items}
        for item, event in done:
            if isinstance(event, StepSucceeded):
                records[id(item.journal)].append(event)
        for closing in ends:
            records[id(closing.journal)].append(closing.end)
        for journal in {id(item.journal): item.journal for item in items}.values():
            journal.append(records[id(journal)])
        self._flush(items)
        for item in (item for item, event in done if isinstance(event, StepSucceeded)):
            former = [staged for staged, _, _ in item.moves] if id(item) in intents else []
            for path in (*former, *item.discard):
                # It is done and recorded; the staging folder is removed once more when the run ends.
                with suppress(FileError):
                    files.remove(path)
        return done

    def _flush(self, items: Sequence[Publication | Closing]) -> None:
        self._flush_journals(list({id(item.journal): item.journal.journal for item in items}.values()))

    def _intent(self, item: Publication) -> PublishIntended:
        success = item.success
        moves = tuple((source, final) for source, final, _ in item.moves)
        body = record(success) | {
            "names": [name for _, _, name in item.moves] + [name for _, name in item.in_place],
            "in_place": [path for path, _ in item.in_place],
            # By these recovery tells what was moved from a former output that still stands there.
            "identities": [self._files.identity(source) for source, _ in moves],
        }
        return PublishIntended(success.run_id, success.at, success.step, success.attempt, moves, body)

    def _move(self, item: Publication, intent: PublishIntended | None) -> FileError | None:
        """Put the outputs of one step in place; if one is refused, none is."""
        try:
            if intent is not None:
                move_all(self._files, intent)
            else:
                for source, final, _ in item.moves:
                    self._files.move(source, final)
        except FileError as error:
            return error
        return None

    def _with_outputs(self, item: Publication, intent: PublishIntended | None) -> StepSucceeded | FileError:
        try:
            return item.success._replace(outputs=artifacts(self._files, item.moves, item.in_place))
        except FileError as error:
            if intent is not None:
                take_back(self._files, intent)
            return error


def move_all(files: Files, intent: PublishIntended) -> None:
    """Put what an intent names in place, or finish doing so. Raises `FileError` when one is refused: all is as it was before.

    Raises `StateError` when that cannot be brought about either: what stood there waits in the staging folder.
    """
    try:
        for (staged, final), identity in zip(intent.moves, intent.success["identities"], strict=True):
            files.swap(staged, final, identity)
    except FileError:
        take_back(files, intent)
        raise


def take_back(files: Files, intent: PublishIntended) -> None:
    """Former outputs stand where they stood before the moves of an intent. Raises `StateError`."""
    for (staged, final), identity in zip(reversed(intent.moves), reversed(intent.success["identities"]), strict=True):
        try:
            files.unswap(staged, final, identity)
        except FileError as error:
            raise StateError(f"{error.message}; it waits at {staged}", error.hint) from error


def artifacts(
    files: Files, moves: Iterable[tuple[str, str, str]], in_place: Iterable[tuple[str, str]]
) -> tuple[Artifact, ...]:
    """What stands at the final paths now, by output name."""
    found = []
    for path, name in (*((final, name) for _, final, name in moves), *in_place):
        artifact = files.look(path)
        if artifact is not None:
            found.append(artifact._replace(name=name))
    return tuple(found)
