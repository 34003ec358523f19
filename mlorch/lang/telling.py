"""Which dimensions of the partitions a path tells apart for sure: those whose label stands in it as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.syntax import parts
from mlorch.lang.terms import Expression
from mlorch.model.spec import TimeDimension

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlorch.model.spec import Dimension


def partition_names(paths: Iterable[tuple[str, ...]]) -> frozenset[str]:
    """What dotted paths take from `partition`; the whole of it has the key in it."""
    return frozenset(path[1] if len(path) > 1 else "key" for path in paths if path and path[0] == "partition")


def unnamed(dimensions: Iterable[str], time: str, names: frozenset[str]) -> tuple[str, ...]:
    """The dimensions that `names` of `partition` say nothing about; `time` is the one that has `start` and `end`."""
    if "key" in names:
        return ()
    window = names & {"start", "end"}
    return tuple(name for name in dimensions if name not in names and not (window and name == time))


def untold(dimensions: Sequence[Dimension], template: str) -> tuple[str, ...]:
    """The dimensions of which no label, key, start or end stands in `template` by itself.

    What is computed from one may be the same for several: a day's month. Raises `ExpressionError`.
    """
    names = partition_names(part.plain for part in parts(template) if isinstance(part, Expression))
    time = next((dim.name for dim in dimensions if isinstance(dim, TimeDimension)), "")
    return unnamed((dim.name for dim in dimensions), time, names)
