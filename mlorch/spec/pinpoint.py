"""The place of a problem that showed only when a step's values were known, and nobody held the text any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlorch.spec.places import walk_place
from mlorch.spec.source import read

if TYPE_CHECKING:
    from mlorch.model.diagnostics import Diagnostic


def pinpoint(problem: Diagnostic, data: bytes) -> Diagnostic:
    """The problem at the value that its `keys` lead to in its file, whose bytes are `data`; as it is where they lead nowhere any more."""
    if problem.place is None:
        return problem
    source = read(data, problem.place.file)
    if source.data is None or problem.keys[0] not in source.data:
        return problem
    place = source.text.place(walk_place(source.data, problem.keys))
    return replace(problem, place=place, source=source.text.line_text(place.line))
