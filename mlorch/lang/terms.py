"""The terms of the expression language: what an expression is, its errors, its constants and functions."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str, ...]
Names: TypeAlias = frozenset[Path]

OPEN, CLOSE = "${{", "}}"
LONGEST = 4096
"""Characters of one expression."""

CONSTANTS: dict[str, object] = {
    "null": None,
    "true": True,
    "false": False,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
}
FUNCTIONS: dict[str, tuple[int, int]] = {
    "min": (1, 100),
    "max": (1, 100),
    "len": (1, 1),
    "round": (1, 2),
    "sum": (1, 1),
    "any": (1, 1),
    "all": (1, 1),
    "abs": (1, 1),
    "date": (1, 2),
}
"""Name → the least and the largest number of arguments."""


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated.

    `message` says what is wrong, `offset` where (characters from 0 in the text that was given), `hint` how to mend it.
    """

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint

    def moved(self, by: int) -> ExpressionError:
        """The same error for a text in which the expression begins `by` characters later."""
        return type(self)(self.message, self.offset + by, self.hint)


class NotKnownYet(Exception):  # noqa: N818 - no error: the value of a step that has still to run
    """Raised by a lazy scope for a value that nobody can know before something else has run."""


class Expression(NamedTuple):
    """One expression. `text` is what stands between the braces, without the spaces around it.

    `names` are the dotted paths that it refers to, `places` the same with their offsets in `text`. `offset` is where `text`
    begins in the template that it was found in (0 if it was given alone). `plain` is the path when it is nothing else.
    """

    text: str
    names: Names
    places: tuple[tuple[Path, int], ...] = ()
    offset: int = 0
    plain: Path = ()
