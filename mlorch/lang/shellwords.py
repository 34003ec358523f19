"""Words of shell texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mlorch.lang.words import Slot

Piece: TypeAlias = str | Slot | None
"""Of a word: characters as the command gets them, a slot, or None for what only the shell knows (`$X`, `$(…)`)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command: its pieces after quotes are gone, and where it begins. `quoted`: it had quotes."""

    pieces: tuple[Piece, ...]
    offset: int = 0
    quoted: bool = False

    @property
    def literal(self) -> str | None:
        """Its characters if it is nothing else."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], str):
            return self.pieces[0]
        return "" if not self.pieces else None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its slots, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Slot))

    @property
    def prefix(self) -> str:
        """Its characters before anything else comes."""
        return self.pieces[0] if self.pieces and isinstance(self.pieces[0], str) else ""

    @property
    def template(self) -> str | None:
        """The word with its expressions as a template; None if only the shell knows what it will be."""
        out: list[str] = []
        for piece in self.pieces:
            if piece is None:
                return None
            out.append(piece if isinstance(piece, str) else piece.typed)
        return "".join(out)


@dataclass(frozen=True, slots=True)
class ShellText:
    """A shell text, understood: `pieces` are its characters and its slots in order.

    `commands` are the words of its simple commands (assignments before them and redirections left out), `words` all words.
    """

    pieces: tuple[str | Slot, ...]
    commands: tuple[tuple[Word, ...], ...]
    words: tuple[Word, ...]
