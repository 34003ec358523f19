"""Problems of a spec as people read them: place, code, message, source line, caret, remedy."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from mlorch.views.text import count, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.diagnostics import Diagnostic

_LINE_ROOM = 160
_BEFORE = 60
_COLOURS = {"error": "1;31", "warning": "1;33", "place": "1", "mark": "31", "dim": "90", "help": "36"}


def problem_lines(problem: Diagnostic, *, colour: bool = False) -> list[str]:
    """`file:line:column: error E123: message`, the line with a caret below, and how to mend it."""

    def paint(text: str, style: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if colour else text

    level = problem.severity.value
    where = f"{paint(visible(str(problem.place)), 'place')}: " if problem.place else ""
    lines = [f"{where}{paint(f'{level} {problem.code}', level)}: {_inside(problem.message)}"]
    if problem.place and problem.source.strip():
        source, offset, width = excerpt(problem.source, problem.place.column, problem.place.width)
        number = str(problem.place.line)
        lines.append(f"{paint(f'{number:>5} |', 'dim')} {source}")
        lines.append(f"{paint('      |', 'dim')} {' ' * offset}{paint('^' * width, 'mark')}")
    if problem.hint:
        lines.append(f"{paint('      =', 'dim')} {paint('help:', 'help')} {_inside(problem.hint)}")
    return lines


def excerpt(source: str, column: int, width: int) -> tuple[str, int, int]:
    """The part of a line around a column that fits, where the caret starts in it, and how wide it is (in cells)."""
    start = min(max(column - 1, 0), len(source))
    end = min(start + max(width, 1), len(source))
    cut = 0
    if len(source) > _LINE_ROOM:
        cut = max(start - _BEFORE, 0)
        source = source[cut : cut + _LINE_ROOM]
    before, marked = visible(source[: start - cut]), visible(source[start - cut : end - cut])
    lead = "…" if cut else ""
    return lead + visible(source), len(lead) + cells(before), max(cells(marked), 1)


def cells(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def totals(problems: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    errors = sum(problem.severity.value == "error" for problem in problems)
    warnings = len(problems) - errors
    told = [count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    return ", ".join(told) or "no problems"


def _inside(text: str) -> str:
    """Text of several lines below a heading."""
    first, *rest = [visible(line) for line in text.splitlines()] or [""]
    return "\n".join([first, *(f"        {line}" for line in rest)])
