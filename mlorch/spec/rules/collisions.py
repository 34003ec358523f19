"""Paths computed from a partition's labels: do two labels come to the same path? Tried out on a sample of them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mlorch.lang.expressions import text_of
from mlorch.lang.partitions import bounds, next_window, window_at, within
from mlorch.lang.syntax import parts
from mlorch.lang.telling import untold
from mlorch.lang.zones import UTC_NAMES
from mlorch.model.spec import TimeDimension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlorch.lang.terms import Expression
    from mlorch.lang.zones import Window
    from mlorch.model.spec import Dimension, Pipeline, Project

_IN_A_ROW = 400
"""Enough that days share a month, a weekday or a day of the year, hours the hour of the day, weeks a year's number."""
_LATER_DAYS = (28, 29, 30, 31, 365, 366)
"""So much later it is the same day of another month or year, which of hours do not follow each other closely enough."""
_SOMEWHEN = datetime(2024, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)

Skeleton = tuple["str | Expression", ...]


class Clash(NamedTuple):
    """Two labels of a dimension that lead to one path."""

    dimension: str
    one: str
    two: str


class Collisions:
    """Tries out the paths of one pipeline. Those that differ only in fixed text around them are tried once."""

    def __init__(self, pipeline: Pipeline, project: Project) -> None:
        params = {param.name: param.default for param in pipeline.params if param.has_default}
        params |= dict(project.params)
        self._dimensions = pipeline.partitions
        self._fixed: dict[str, object] = {"params": params, "roots": dict(project.roots)}
        self._samples: dict[str, tuple[Mapping[str, object], ...]] = {}
        self._found: dict[Skeleton, Clash | None] = {}

    def find(self, template: str) -> Clash | None:
        """The first two labels found that share the path; None also for a path that cannot be evaluated here.

        Raises `ExpressionError` for one that cannot be read.
        """
        unsure = untold(self._dimensions, template)
        if not unsure:
            return None
        skeleton = _skeleton(template)
        if skeleton not in self._found:
            clashes = (self._clash(skeleton, dim) for dim in self._dimensions if dim.name in unsure)
            self._found[skeleton] = next(filter(None, clashes), None)
        return self._found[skeleton]

    def _clash(self, skeleton: Skeleton, dimension: Dimension) -> Clash | None:
        seen: dict[str, str] = {}
        try:
            for varied in self._sample(dimension):
                label = str(varied[dimension.name])
                scope = self._fixed | {"partition": self._partition(dimension, varied)}
                path = "".join(part if isinstance(part, str) else text_of(part, scope) for part in skeleton)
                other = seen.setdefault(path, label)
                if other != label:
                    return Clash(dimension.name, other, label)
        except ValueError:  # a parameter without default, or something that only a run knows
            return None
        return None

    def _partition(self, dimension: Dimension, varied: Mapping[str, object]) -> dict[str, object]:
        """What expressions see as `partition`: one dimension varied, of each other the first label."""
        scope: dict[str, object] = {}
        for other in self._dimensions:
            sample = self._sample(other)
            scope |= varied if other is dimension else sample[0] if sample else {other.name: "x"}
        return scope | {"key": ",".join(str(scope[other.name]) for other in self._dimensions)}

    def _sample(self, dimension: Dimension) -> tuple[Mapping[str, object], ...]:
        if dimension.name not in self._samples:
            self._samples[dimension.name] = tuple(_sample(dimension))
        return self._samples[dimension.name]


def _skeleton(template: str) -> Skeleton:
    """The parts that can differ between partitions, and what stands between them."""
    found: list[str | Expression] = []
    for part in parts(template):
        if isinstance(part, str):
            found.append(part)
        elif any(name[0] == "partition" for name in part.names):
            found.append(part._replace(places=(), offset=0))  # where it stands is no part of what it says
        else:
            found.append(part.text)  # whatever it is, it is the same in every partition
    while found and isinstance(found[0], str):
        found.pop(0)
    while found and isinstance(found[-1], str):
        found.pop()
    return tuple(found)


def _sample(dimension: Dimension) -> Iterator[Mapping[str, object]]:
    """What expressions see of a dimension in some of its partitions; nothing where only a run knows its labels."""
    if not isinstance(dimension, TimeDimension):
        for label in dict.fromkeys(dimension.values[:_IN_A_ROW]):
            yield {dimension.name: label}
        return
    for label, window in _windows(dimension).items():
        yield {dimension.name: label, "start": window.start, "end": window.end}


def _windows(dimension: TimeDimension) -> dict[str, Window]:
    found: dict[str, Window] = {}
    with suppress(ValueError, OverflowError):  # the calendar's end, or a definition with problems of its own
        first = bounds(dimension)[0] or window_at(dimension, _SOMEWHEN)
        found |= _in_a_row(dimension, first, None)
        for days in _LATER_DAYS:
            window = window_at(dimension, first.start + timedelta(days=days))
            if within(dimension, window):
                found[window.label] = window
        if dimension.every in ("hour", "") and dimension.timezone not in UTC_NAMES:
            day = _clock_set_back(first.start)
            found |= _in_a_row(dimension, window_at(dimension, day), day + _DAY) if day else {}
    return found


def _in_a_row(dimension: TimeDimension, window: Window, until: datetime | None) -> dict[str, Window]:
    """Windows that follow each other, within the dimension's bounds."""
    found: dict[str, Window] = {}
    while len(found) < _IN_A_ROW and within(dimension, window) and (until is None or window.start <= until):
        found[window.label] = window
        try:
            window = next_window(dimension, window)
        except ValueError:
            break
    return found


def _clock_set_back(begin: datetime) -> datetime | None:
    """A day before the clock shows an hour twice, in the year after `begin`."""
    days = [begin + index * _DAY for index in range(367)]
    for one, two in pairwise(days):
        before, after = one.utcoffset(), two.utcoffset()
        if before is not None and after is not None and after < before:
            return one
    return None
