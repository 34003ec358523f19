"""What makes a pipeline due beside its schedule: files that arrived, partitions of others, a command's number.

Each trigger keeps a cursor of its own in the pipeline's agenda: what it has seen. So nothing counts twice and nothing is lost, whoever else
looks at the same files. Looking changes nothing; the caller writes the cursor together with what it makes due.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mlorch.lang.keys import keys_of, label_of, time_label
from mlorch.lang.partitions import closes_at, last_closed, next_window, parse_label, window_at, within
from mlorch.model.errors import FileError
from mlorch.model.spec import CatchUp
from mlorch.model.states import RunState
from mlorch.model.times import iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlorch.engine.agenda import Agenda
    from mlorch.model.history import PartitionState
    from mlorch.model.spec import Pipeline, Trigger, ValueDimension
    from mlorch.session.workspace import Workspace


class Fired(NamedTuple):
    """A trigger that has seen something: `cursor` is what changes of its memory (None takes an entry away), `due` are keys.

    `left` are the labels of windows, oldest first, that were not taken since `catchup` does not cover them. `detail` is for people.
    """

    name: str
    cursor: dict[str, Any]
    due: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    detail: str = ""


class Sighting(NamedTuple):
    """One thing that a trigger watches: a file, or a partition of another pipeline.

    `stamp` is what it is known by once it has counted ("" for nothing that could count), `due` are the keys that it bears on, `waits` says
    for people why it does not count yet.
    """

    name: str
    stamp: str
    due: tuple[str, ...] = ()
    waits: str = ""

    def is_new(self, known: str) -> bool:
        """Whether the next tick counts it: what it made is not what was `known`."""
        return not self.waits and self.stamp.rpartition("|")[2] != known.rpartition("|")[2]


class Triggers:
    """Looks at the triggers of pipelines. Raises `FileError` for a command that fails or prints no number, and what labels raise."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def look(self, pipeline: Pipeline, agenda: Agenda) -> list[Fired]:
        """Those that have seen something new."""
        found = []
        for trigger in pipeline.triggers:
            name = name_of(trigger)
            cursor = agenda.cursors.get(name)
            if trigger.glob:
                fired = self._data(pipeline, trigger, name, cursor)
            elif trigger.pipeline:
                fired = self._pipeline(pipeline, trigger, name, cursor)
            else:
                fired = self._command(pipeline, trigger, name, cursor)
            if fired is not None:
                found.append(fired)
        return found

    # Files.

    def _data(self, pipeline: Pipeline, trigger: Trigger, name: str, cursor: Mapping[str, str] | None) -> Fired | None:
        known = cursor or {}
        there = {found.name: found.stamp for found in self.files(trigger, known) if found.stamp}
        new = [path for path, stamp in there.items() if known.get(path) != stamp]
        changes: dict[str, Any] = {path: there[path] for path in new}
        changes |= {path: None for path in known if path not in there and not os.path.exists(self._full(path))}
        if not changes and cursor is not None:
            return None
        keys: dict[str, None] = {}
        for path in new:
            keys.update(dict.fromkeys(self._keys_of_file(pipeline, trigger, path)))
        due, left = self._limited(pipeline, keys, first=cursor is None)
        return Fired(name, changes, due, left, f"{len(new)} new: {new[0]}" if new else "")

    def files(self, trigger: Trigger, known: Mapping[str, str]) -> list[Sighting]:
        """All that matches a `data` trigger now; what is `known` of one that is being changed again stays its stamp."""
        found = (self._file(path, trigger, known.get(path, "")) for path in self._matches(trigger))
        return [sighting for sighting in found if sighting is not None]

    def _matches(self, trigger: Trigger) -> tuple[str, ...]:
        from mlorch.world.expand import expand

        return expand("" if trigger.glob.startswith("/") else f"{self._workspace.root}/", trigger.glob)

    def _full(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._workspace.root}/{path}"

    def _file(self, path: str, trigger: Trigger, known: str) -> Sighting | None:
        """None for the marker itself, and for what goes away at this very moment."""
        full = self._full(path)
        try:
            status = os.stat(full)
            folder = full if os.path.isdir(full) else os.path.dirname(full)
            marker = self._full(trigger.marker) if "/" in trigger.marker else f"{folder}/{trigger.marker}"
            if trigger.marker and os.path.normpath(full) == os.path.normpath(marker):
                return None
            if trigger.marker and not os.path.exists(marker):
                return Sighting(path, "", waits=f"its marker {trigger.marker} is not there")
            newest = (
                max((os.stat(entry).st_mtime for entry in os.scandir(full)), default=0.0) if full == folder else 0.0
            )
        except OSError:
            return None
        age = self._workspace.clock.now().timestamp() - max(status.st_mtime, newest)
        if trigger.quiet_for and age < trigger.quiet_for:
            return Sighting(
                path, known, waits=f"it changed {age:.0f} s ago and counts after {trigger.quiet_for:g} s of quiet"
            )
        return Sighting(path, f"{status.st_mtime_ns}:{status.st_size}")

    def _keys_of_file(self, pipeline: Pipeline, trigger: Trigger, path: str) -> Iterable[str]:
        """The window whose label stands in the path, else the one that closed last; its label in a dimension of the same glob."""
        now, dimension = self._workspace.clock.now(), pipeline.time_dimension
        times: tuple[str, ...] = ()
        if dimension is not None:
            times = tuple(_labels_in(pipeline, path, now)) or _newest(pipeline, now)

        def labels(dim: ValueDimension) -> tuple[str, ...]:
            return (label_of(dim.glob, path),) if dim.glob == trigger.glob else self._workspace.labels(pipeline, dim)

        return keys_of(pipeline.partitions, times, labels) if pipeline.partitions else ("",)

    # Partitions of another pipeline.

    def _pipeline(
        self, pipeline: Pipeline, trigger: Trigger, name: str, cursor: Mapping[str, str] | None
    ) -> Fired | None:
        known = cursor or {}
        changes: dict[str, Any] = {}
        keys: dict[str, None] = {}
        new = []
        for found in self.partitions(pipeline, trigger, known):
            if found.waits or found.stamp == known.get(found.name, ""):
                continue
            changes[found.name] = found.stamp
            if found.is_new(known.get(found.name, "")):
                keys.update(dict.fromkeys(found.due))
                new.append(found.name)
        if not changes and cursor is not None:
            return None
        due, left = self._limited(pipeline, keys, first=cursor is None)
        return Fired(name, changes, due, left, f"{trigger.pipeline}: {len(new)} new or changed" if new else "")

    def partitions(self, pipeline: Pipeline, trigger: Trigger, known: Mapping[str, str]) -> Iterator[Sighting]:
        """The partitions of the pipeline that is watched, as far as there is a record of them."""
        workspace = self._workspace
        upstream = workspace.named(trigger.pipeline)
        for key in sorted(workspace.partitions(upstream.name)):
            before = known.get(key, "")
            found = self._partition(upstream.name, key, before)
            if found.is_new(before):
                mine = self._keys_of_partition(pipeline, upstream, key)
                if isinstance(mine, datetime):
                    found = found._replace(waits=f"its window here is open until {iso_utc(mine)[:16]}Z")
                else:
                    found = found._replace(due=mine)
            yield found

    def _partition(self, pipeline: str, key: str, known: str) -> Sighting:
        """Known by `size:mtime` of its journal and, after a bar, a digest of what it made; as before where it is at work or not done."""
        try:
            status = os.stat(self._workspace.layout.journal(pipeline, key))
        except OSError:
            return Sighting(key, known)
        outside = f"{status.st_size}:{status.st_mtime_ns}"
        if known.partition("|")[0] == outside:
            return Sighting(key, known)
        state = self._workspace.state(pipeline, key)
        last = state.last_run
        if last is None or last.state not in (RunState.SUCCEEDED, RunState.INCOMPLETE):
            return Sighting(key, known, waits=f"its last run: {last.state.value.replace('_', ' ') if last else 'none'}")
        return Sighting(key, f"{outside}|{_made(state)}")

    def _keys_of_partition(self, pipeline: Pipeline, upstream: Pipeline, key: str) -> tuple[str, ...] | datetime:
        """The consumer's keys that an upstream partition bears on; while one of their windows is open, when that closes."""
        own = {dim.name: label for dim, label in zip(upstream.partitions, key.split(","), strict=False)}
        now = self._workspace.clock.now()
        times: list[str] = []
        dimension, other = pipeline.time_dimension, upstream.time_dimension
        if dimension is not None and other is None:
            times += _newest(pipeline, now)
        elif dimension is not None and other is not None:
            span = parse_label(other, time_label(upstream.partitions, key))
            window = window_at(dimension, span.start)
            while window.start < span.end:
                if (closing := closes_at(dimension, window)) > now:
                    return closing
                if within(dimension, window):
                    times.append(window.label)
                window = next_window(dimension, window)

        def labels(dim: ValueDimension) -> tuple[str, ...]:
            known = self._workspace.labels(pipeline, dim)
            return known if dim.name not in own else tuple(label for label in known if label == own[dim.name])

        return tuple(keys_of(pipeline.partitions, times, labels)) if pipeline.partitions else ("",)

    # A number.

    def _command(
        self, pipeline: Pipeline, trigger: Trigger, name: str, cursor: Mapping[str, Any] | None
    ) -> Fired | None:
        from mlorch.world.called import CommandError

        who = f"{pipeline.name}, its trigger"
        try:
            said = self._workspace.answers.ask(who, trigger.run)
        except CommandError as error:
            raise FileError(f"{who}: the command {error}", f"try it by hand in {self._workspace.root}") from error
        text = next((line.strip() for line in reversed((said or "").splitlines()) if line.strip()), "")
        if trigger.changed:
            fires, told = cursor is not None and cursor.get("said") != text, f"it says {text!r}"
        else:
            fires, told = _beyond(trigger, text, who)
        before = bool(cursor and cursor.get("fires")) and not trigger.changed
        change = {"said": text, "fires": fires}
        if cursor is not None and dict(cursor) == change:
            return None
        keys: Iterable[str] = ()
        if fires and not before:
            times = _newest(pipeline, self._workspace.clock.now())
            labels = self._workspace.labels
            keys = (
                keys_of(pipeline.partitions, times, lambda dim: labels(pipeline, dim)) if pipeline.partitions else ("",)
            )
        return Fired(name, change, tuple(keys), (), told)

    def _limited(
        self, pipeline: Pipeline, keys: Iterable[str], *, first: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """At a first look, no more than `catchup` takes; the labels of the windows that were left out are the second value."""
        due = tuple(keys)
        policy, limit = pipeline.catchup
        dimension = pipeline.time_dimension
        if not first or not due or (dimension is None and policy is not CatchUp.NONE):
            return due, ()
        if dimension is None:
            return (), ()
        order = sorted(
            {time_label(pipeline.partitions, key) for key in due},
            key=lambda label: parse_label(dimension, label).end.timestamp(),
        )
        most = {CatchUp.NONE: 0, CatchUp.LATEST: 1, CatchUp.ALL: limit}[policy]
        left = order[: max(len(order) - most, 0)]
        return tuple(key for key in due if time_label(pipeline.partitions, key) not in left), tuple(left)


def name_of(trigger: Trigger) -> str:
    """What a trigger's memory is kept under: the same as long as it looks at the same thing."""
    if trigger.glob:
        return f"data:{trigger.glob}"
    if trigger.pipeline:
        return f"pipeline:{trigger.pipeline}"
    from mlorch.world.called import digest_of

    return f"command:{digest_of(trigger.run)}"


def needs_of(pipeline: Pipeline) -> set[str]:
    """The pipelines that its triggers watch."""
    return {trigger.pipeline for trigger in pipeline.triggers if trigger.pipeline} - {pipeline.name}


def _beyond(trigger: Trigger, text: str, who: str) -> tuple[bool, str]:
    try:
        number = float(text)
    except ValueError:
        raise FileError(f"{who}: the last line that its command prints is no number: {text[:80]!r}") from None
    if trigger.above is not None:
        return number > trigger.above, f"{number:g}, due above {trigger.above:g}"
    bound = trigger.below if trigger.below is not None else 0.0
    return number < bound, f"{number:g}, due below {bound:g}"


def _newest(pipeline: Pipeline, now: datetime) -> tuple[str, ...]:
    window = last_closed(pipeline.time_dimension, now) if pipeline.time_dimension is not None else None
    return () if window is None else (window.label,)


def _labels_in(pipeline: Pipeline, path: str, now: datetime) -> Iterable[str]:
    """The closed windows of the pipeline whose label stands in a path."""
    import re

    dimension = pipeline.time_dimension
    assert dimension is not None  # noqa: S101 - the caller looked
    for text in dict.fromkeys(
        re.findall(r"(?<![0-9])[0-9]{4}-W?[0-9]{2}(?:-[0-9]{2})?(?:T[0-9]{2,4}(?:Z|[+-][0-9]{4}))?", path)
    ):
        try:
            window = parse_label(dimension, text)
        except ValueError:
            continue
        if within(dimension, window) and closes_at(dimension, window) <= now:
            yield window.label


def _made(state: PartitionState) -> str:
    """A digest of all outputs of a partition."""
    from hashlib import sha256

    made = sorted((artifact.path, artifact.digest) for c in state.checkpoints.values() for artifact in c.outputs)
    return sha256(repr(made).encode()).hexdigest()[:16]
