"""Problems of a spec as data: where, what, how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Errors stop; warnings count only under `--strict`."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text file: `line` and `column` from 1 (columns in characters), `width` >= 1 of the caret's mark."""

    file: str
    line: int = 1
    column: int = 1
    width: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem. `code` is stable (`E…`/`W…`, explained by `mlorch explain CODE`); `source` is the line it is about.

    `keys` lead to it from the top of the file, where it showed only when the text was no longer at hand (`spec.pinpoint` finds the place).
    """

    code: str
    message: str
    place: Place | None = None
    hint: str = ""
    source: str = ""
    keys: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """From the code's first letter."""
        return Severity.WARNING if self.code.startswith("W") else Severity.ERROR

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By place, then code: the order in which problems are shown."""
        place = self.place or Place("")
        return (place.file, place.line, place.column, self.code, self.message)
