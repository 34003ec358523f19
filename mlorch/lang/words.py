"""The parts of commands: words, and the slots in which values stand."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.lang.terms import Expression, Path


class CommandError(ValueError):
    """A command in which a value would become code, or that cannot be read for sure.

    `message` says what is wrong, `offset` where (characters from 0, in the text, or in item `word` of an argv list; `word`
    is None for a text), `hint` how to mend it.
    """

    def __init__(self, message: str, offset: int = 0, hint: str = "", word: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.word = word


class Where(Enum):
    """The context of a slot in a shell text, which decides how its reference is quoted."""

    WORD = "word"
    QUOTED = "quoted"
    PLAIN = "plain"
    """A here-document: nothing is split there, and quotes are characters."""
    COMMENT = "comment"


class Slot:
    """One `${{ … }}` of a command. `alone`: a word of its own, which a list may fill with several.

    `code`: it stands in the text of a program (`python -c …`), where only a plain path may.
    """

    __slots__ = ("alone", "code", "expression", "where")

    def __init__(self, expression: Expression, where: Where, *, alone: bool = False) -> None:
        self.expression = expression
        self.where = where
        self.alone = alone
        self.code = False

    @property
    def typed(self) -> str:
        """The slot as it stands in a template."""
        return f"${{{{ {self.expression.text} }}}}"


Pieces: TypeAlias = tuple[str | Slot, ...]


HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=+@%-")
"""Characters that mean nothing to a shell, nor to a programming language inside its quotes."""
_VARIABLES = {
    ("partition",): "MLORCH_PARTITION",
    ("partition", "key"): "MLORCH_PARTITION",
    ("partition", "start"): "MLORCH_PARTITION_START",
    ("partition", "end"): "MLORCH_PARTITION_END",
    ("run", "id"): "MLORCH_RUN_ID",
    ("attempt",): "MLORCH_ATTEMPT",
}


def variable_for(expression: Expression) -> str:
    """The environment variable in which a step finds the value of `expression`; "" if there is none."""
    path: Path = expression.plain
    if len(path) == 2 and path[0] in ("params", "inputs", "outputs"):
        return f"MLORCH_{path[0][:-1].upper()}_{path[1].upper()}"
    if len(path) == 2 and path[0] in ("env", "secrets"):
        return path[1]
    return _VARIABLES.get(path, "")


def use_variable(expression: Expression, spelling: str = "${}") -> str:
    """The advice to take the value from the environment; `spelling` is how the language at hand names a variable."""
    name = variable_for(expression)
    if name:
        return f"use the variable {spelling.format(name)}"
    return f"give it a name under `env`, as in `env: {{VALUE: '${{{{ {expression.text} }}}}'}}`, and use {spelling.format('VALUE')}"


def in_awk(expression: Expression) -> str:
    """The advice for a value in the program of an awk."""
    return f"pass it with `-v value=${{{{ {expression.text} }}}}` and write `value` in the program"


def known_start(pieces: Sequence[str | Slot | None]) -> str | None:
    """A word as far as it is fixed: all of it, or what comes before a value with a NUL after it; None if a value leads."""
    if not pieces:
        return ""
    first = pieces[0]
    return None if not isinstance(first, str) else first if len(pieces) == 1 else f"{first}\0"
