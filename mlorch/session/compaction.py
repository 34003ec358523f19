"""Retention: old runs are given up, folders and events; that a step is done is kept."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlorch.engine.compact import Prefix, Spans
from mlorch.model.errors import StateError
from mlorch.model.events import record
from mlorch.model.findings import Collected
from mlorch.model.times import iso_utc, parse_iso
from mlorch.world.journal import encode_line
from mlorch.world.locks import LockFile
from mlorch.world.scan import Damage, Survey, believed, renumbered, rewrite
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from mlorch.engine.compact import Span
    from mlorch.session.workspace import Workspace
    from mlorch.world.scan import Good

_GONE = ".gone-"
_DAY_S = 86400.0


class Collector:
    """One `mlorch gc`. `freed` counts the run folders that were removed."""

    def __init__(self, workspace: Workspace, *, dry_run: bool = False) -> None:
        self._layout = workspace.layout
        self._project = workspace.project
        self._clock = workspace.clock
        self._dry_run = dry_run
        self._known: set[str] = set()
        self._unsure = False
        self.folders = 0

    def collect(self) -> Iterator[Collected]:
        """Every partition of which something is given up, or could not be. Raises `StateError` when the disk fails."""
        self._layout.check()
        for pipeline in self._layout.pipelines():
            yield from self._pipeline(pipeline)
        self._strays()

    def trim(self, pipeline: str, key: str) -> None:
        """Let the journal of one partition hold no more runs than retention leaves to the whole pipeline. Raises `StateError`."""
        path = self._layout.journal(pipeline, key)
        seen = _identity(path)
        spans = spans_of(path)
        self._partition(pipeline, key, self._old(list(spans.runs.values())), spans, seen)

    def _pipeline(self, pipeline: str) -> Iterator[Collected]:
        found: dict[str, tuple[Spans, tuple[int, int, int]]] = {}
        for key in self._layout.partitions(pipeline):
            try:
                path = self._layout.journal(pipeline, key)
                seen = _identity(path)
                found[key] = spans_of(path), seen
            except StateError as error:
                self._unsure = True
                yield Collected(pipeline, key, (), 0, 0, 0, error.message)
                continue
            self._known.update(found[key][0].runs)
        old = self._old([span for spans, _ in found.values() for span in spans.runs.values()])
        for key, (spans, seen) in found.items():
            if old.intersection(spans.runs):
                done = self._partition(pipeline, key, old, spans, seen)
                if done is not None:
                    yield done

    def _old(self, spans: list[Span]) -> set[str]:
        """Runs that retention gives up: beyond the newest so many of the pipeline, or older than so many days."""
        oldest = self._clock.now().timestamp() - self._project.retain_days * _DAY_S
        newest_first = sorted(spans, key=lambda span: (span.started_at, span.run_id), reverse=True)
        old = {span.run_id for span in newest_first[self._project.retain_runs :]}
        return old | {span.run_id for span in newest_first if span.started_at and _seconds(span.started_at) < oldest}

    def _partition(
        self, pipeline: str, key: str, old: Container[str], spans: Spans, seen: tuple[int, int, int]
    ) -> Collected | None:
        path = self._layout.journal(pipeline, key)
        if self._dry_run or _outcome(pipeline, key, path, spans, old) is None:
            return _outcome(pipeline, key, path, spans, old)
        lock = LockFile(self._layout.lock(pipeline, key))
        note = f"mlorch gc (pid {os.getpid()}) since {iso_utc(self._clock.wall())}"
        if not lock.acquire(wait=0, note=note):
            return Collected(pipeline, key, (), 0, 0, 0, f"busy: held by {lock.holder()}")
        try:
            if _identity(path) != seen:
                spans = spans_of(path)  # somebody wrote meanwhile; from here on nobody does
            outcome = _outcome(pipeline, key, path, spans, old)
            if outcome is None:
                return None
            compact(path, spans.cut(old), lambda: iso_utc(self._clock.wall()))
        finally:
            lock.release()
        for run_id in outcome.runs:
            self._remove(run_id)
        return replace(outcome, journal_after=_size(path))

    def _remove(self, run_id: str) -> None:
        """A folder is renamed before it is emptied: nobody meets half a run."""
        gone = f"{self._layout.runs}/{_GONE}{run_id}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._layout.run(run_id), gone)
            self.folders += 1
            remove_tree(gone)

    def _strays(self) -> None:
        """What an interrupted `gc` left, and folders older than retention that no journal knows."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._layout.runs):
                path = f"{self._layout.runs}/{name}"
                if name.startswith(_GONE):
                    self.folders += 1
                    if not self._dry_run:
                        remove_tree(path)
                elif not self._unsure and name not in self._known and self._is_old(name):
                    self.folders += 1
                    if not self._dry_run:
                        os.rename(path, f"{self._layout.runs}/{_GONE}{name}")
                        remove_tree(f"{self._layout.runs}/{_GONE}{name}")

    def _is_old(self, run_id: str) -> bool:
        """By the time in its name: a folder may be made a moment before its journal's first line."""
        try:
            made = datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return False
        return made.timestamp() < self._clock.now().timestamp() - self._project.retain_days * _DAY_S


def _seconds(at: str) -> float:
    try:
        return parse_iso(at).timestamp()
    except ValueError:
        return float("inf")


def _outcome(pipeline: str, key: str, path: str, spans: Spans, old: Container[str]) -> Collected | None:
    """None when nothing can be given up."""
    lines = spans.cut(old)
    runs = tuple(span.run_id for span in spans.runs.values() if span.last <= lines)
    if not runs:
        return None
    size = _size(path)
    return Collected(pipeline, key, runs, len(spans.runs) - len(runs), size, size)


def _identity(path: str) -> tuple[int, int, int]:
    """The same file of the same length is the same journal: it is only ever appended to, or replaced."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def spans_of(path: str) -> Spans:
    """Where the runs of a journal stand. Raises `StateError` for a damaged one."""
    spans = Spans()
    for item in _sound(path):
        spans.line(item.event)
    return spans


def _sound(path: str) -> Iterator[Good]:
    for item in believed(path, Survey()):
        if isinstance(item, Damage):
            raise StateError(f"{path} is damaged: {item.what}", "`mlorch doctor --repair` keeps a copy and goes on")
        yield item


def compact(path: str, lines: int, now: Callable[[], str]) -> None:
    """Rewrite a journal so that its first `lines` lines are replaced by what they add up to.

    For the holder of the lock. Streams: holds the checkpoints, never the history. Raises `StateError`; nothing has changed then.
    """
    rewrite(path, _compacted(path, lines, now))


def _compacted(path: str, lines: int, now: Callable[[], str]) -> Iterator[bytes]:
    prefix = Prefix()
    seq = 0
    begun = False
    for item in _sound(path):
        if item.number <= lines:
            prefix.line(item.event)
            continue
        if not begun:
            begun = True
            for event in prefix.events(now()):
                seq += 1
                yield encode_line(record(event), seq)
        seq += 1
        yield renumbered(item.data, seq)


def remove_tree(path: str) -> None:
    """Remove a folder with all in it, one entry at a time; links are not followed. Raises `StateError`."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise state_error(error, path, "remove") from error
