"""Keys of partitions with several dimensions: all of them, and those that a pattern means."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

from mlorch.lang.globs import is_glob, split
from mlorch.lang.partitions import join_key, split_key
from mlorch.model.spec import TimeDimension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlorch.model.spec import Dimension, ValueDimension

    Labels = Callable[[ValueDimension], Sequence[str]]


def value_dimensions(dims: Sequence[Dimension]) -> tuple[ValueDimension, ...]:
    """Those that are not time."""
    return tuple(dim for dim in dims if not isinstance(dim, TimeDimension))


def keys_of(dims: Sequence[Dimension], times: Iterable[str], labels: Labels) -> Iterator[str]:
    """The keys of all combinations: by time first, then by values, each in its order. `times` is ignored without a time dimension.

    Raises what `labels` raises, and `ValueError` for a label that cannot be part of a key.
    """
    if len(dims) == 1 and isinstance(dims[0], TimeDimension):
        yield from times
        return
    values = value_dimensions(dims)
    choices = [labels(dim) for dim in values]
    position = next((index for index, dim in enumerate(dims) if isinstance(dim, TimeDimension)), None)
    for time in times if position is not None else ("",):
        for chosen in product(*choices):
            whole = list(chosen)
            if position is not None:
                whole.insert(position, time)
            yield join_key(whole)


def time_label(dims: Sequence[Dimension], key: str) -> str:
    """The label of a key's time dimension; "" without one."""
    if len(dims) == 1 and isinstance(dims[0], TimeDimension):
        return key
    for dim, label in zip(dims, key.split(","), strict=False):
        if isinstance(dim, TimeDimension):
            return label
    return ""


def pattern_parts(dims: Sequence[Dimension], pattern: str) -> tuple[str, ...]:
    """A label or `*` for each dimension; a pattern that ends early means all of the rest.

    Raises `ValueError` when there are too many labels, or one that can be none.
    """
    parts = pattern.split(",")
    if len(parts) > len(dims):
        names = ",".join(dim.name.upper() for dim in dims)
        raise ValueError(f"`{pattern}` has {len(parts)} labels, but a key is {names}")
    parts += ["*"] * (len(dims) - len(parts))
    for dim, label in zip(dims, parts, strict=True):
        if label != "*":
            split_key((dim,), label)
    return tuple(parts)


def label_of(pattern: str, path: str) -> str:
    """The label of a file that a `glob` found: what its only `*` stands for, else the file's name without its last suffix."""
    names = split(pattern)
    wild = [name for name in names if is_glob(name)]
    if len(wild) == 1 and wild[0].count("*") == 1 and "?" not in wild[0] and "[" not in wild[0]:
        before, _, after = wild[0].partition("*")
        name = split(path)[names.index(wild[0])]
        return name[len(before) : len(name) - len(after)]
    return re.sub(r"(?<=.)\.[^.]*$", "", path.rstrip("/").rpartition("/")[2])


def lines_or_json(text: str) -> tuple[str, ...]:
    """Labels that a command prints: a JSON list of texts and numbers, or one a line. Raises `ValueError`."""
    if not text.lstrip().startswith("["):
        return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    import json

    try:
        items = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it prints no JSON: {error}") from None
    if not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in items):
        raise ValueError("its JSON list holds something that is neither text nor number")
    return tuple(dict.fromkeys(item if isinstance(item, str) else json.dumps(item) for item in items))
