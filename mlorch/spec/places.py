"""Data with positions: mappings and lists that know where each key and value was typed.

A position is one number, the offset of a character in the file's text. Lines, columns and caret widths are worked out
only for what is shown: a spec of 10,000 steps has 200,000 positions and usually no problem.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from mlorch.model.diagnostics import Diagnostic, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Map(dict[str, Any]):
    """A mapping of the file. `marks` holds offsets in the order of the keys: key, value, key, value."""

    __slots__ = ("_index", "marks", "offset")

    def __init__(self, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset
        self.marks: list[int] = []
        self._index: dict[str, tuple[int, int]] | None = None

    def mark(self, key: str) -> tuple[int, int]:
        """Offsets of `key` and of its value; of the mapping itself for a key that it never had."""
        return self.index().get(key, (self.offset, self.offset))

    def index(self) -> dict[str, tuple[int, int]]:
        """Offsets by key; stays right when keys are removed or replaced afterwards."""
        index = self._index
        if index is None:
            marks = self.marks
            index = dict(zip(self, zip(marks[::2], marks[1::2], strict=True), strict=True))
            self._index = index
        return index

    def drop(self, key: str) -> None:
        """Remove a key; the positions of all keys stay known."""
        self.index()
        self.pop(key, None)

    def over(self, base: dict[str, Any]) -> Map:
        """A new mapping: this one's keys, and under them those of `base` (mappings merged, all else replaced).

        Keys taken from a `base` of the same file keep their positions; others get this mapping's own.
        """
        merged = Map(self.offset)
        positions = dict(base.index()) if isinstance(base, Map) else {}
        positions.update(self.index())
        merged._index = positions
        for key, value in base.items():
            own = self.get(key)
            if key not in self:
                merged[key] = value
            elif isinstance(own, Map) and isinstance(value, dict):
                merged[key] = own.over(value)
            else:
                merged[key] = own
        for key, value in self.items():
            if key not in merged:
                merged[key] = value
        return merged


class Seq(list[Any]):
    """A list of the file. `marks` holds the offset of each item."""

    __slots__ = ("marks", "offset")

    def __init__(self, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset
        self.marks: list[int] = []

    def drop(self, position: int) -> None:
        """Remove one item with its position."""
        del self[position]
        del self.marks[position]


class Text:
    """The text of one file; turns offsets into places and diagnostics."""

    __slots__ = ("_starts", "file", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """Offset at which each line begins."""
        if self._starts is None:
            self._starts = line_starts(self.text)
        return self._starts

    def line_of(self, offset: int) -> int:
        """Line number of an offset, from 1."""
        return bisect_right(self.starts, min(offset, len(self.text)))

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its end."""
        starts = self.starts
        if not 1 <= line <= len(starts):
            return ""
        end = starts[line] if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].rstrip("\r\n")

    def place(self, offset: int, width: int = 0) -> Place:
        """Line, column and caret width of an offset; width 0 means: as wide as the word that begins there."""
        offset = max(0, min(offset, len(self.text)))
        line = self.line_of(offset)
        column = offset - self.starts[line - 1]
        rest = len(self.line_text(line)) - column
        if not width:
            width = len(token_at(self.text, offset))
        return Place(self.file, line, column + 1, max(1, min(width, rest)))

    def problem(self, code: str, message: str, offset: int, hint: str = "", *, width: int = 0) -> Diagnostic:
        """A diagnostic at an offset, with its source line."""
        place = self.place(offset, width)
        return Diagnostic(code, message, place, hint, self.line_text(place.line))

    def typed(self, offset: int) -> str:
        """A plain scalar as the user typed it: `1.10` and not 1.1."""
        return token_at(self.text, offset)

    def inside(self, offset: int, value: str, index: int) -> int:
        """Offset in the file of character `index` of the scalar `value` that begins at `offset`.

        Exact for plain and quoted text and for literal blocks; where folding or escapes moved characters, the nearest
        `${{` before it, or the start of the scalar.
        """
        text = self.text
        for start in (offset, offset + 1):
            if text.startswith(value[: index + 1], start):
                return start + index
        opening = value.rfind("${{", 0, index + len("${{"))
        if opening >= 0:
            found = offset
            for _ in range(value.count("${{", 0, opening) + 1):
                found = text.find("${{", found) + 3
                if found < 3:
                    return offset
            found -= 3
            piece = value[opening : index + 1]
            return found + index - opening if text.startswith(piece, found) else found
        begin = value.rfind("\n", 0, index) + 1
        line = value[begin:].partition("\n")[0]
        found = text.find(line, offset) if line.strip() else -1
        return found + index - begin if found >= 0 else offset


def line_starts(text: str) -> list[int]:
    """Offsets at which lines begin; a line feed, a carriage return or both end a line."""
    starts = [0]
    if "\r" not in text:
        position = text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = text.find("\n", position + 1)
        return starts
    length = len(text)
    position = 0
    while position < length:
        char = text[position]
        if char == "\r" and text.startswith("\n", position + 1):
            position += 1
        if char in "\r\n":
            starts.append(position + 1)
        position += 1
    return starts


def token_at(text: str, offset: int) -> str:
    """The scalar that begins at `offset`, on its first line: quoted text with its quotes, else up to what ends it."""
    end = text.find("\n", offset)
    line = text[offset : end if end >= 0 else len(text)].rstrip("\r")
    if not line:
        return ""
    if line[0] in "\"'":
        return _quoted(line)
    if line[0] in "[{":
        return line[0]
    if line[0] in "&!":
        return line.split(" ", 1)[0]
    cut = len(line)
    for mark in (": ", " #", "\t"):
        found = line.find(mark)
        if found > 0:
            cut = min(cut, found)
    word = line[:cut].rstrip()
    if word.endswith(":") and word != ":":
        word = word[:-1]
    return _flow_end(text, offset, word)


def _quoted(line: str) -> str:
    quote = line[0]
    position = 1
    while position < len(line):
        if line[position] == "\\" and quote == '"':
            position += 1
        elif line[position] == quote:
            if quote == "'" and line.startswith("''", position):
                position += 1
            else:
                return line[: position + 1]
        position += 1
    return line


def _flow_end(text: str, offset: int, word: str) -> str:
    """In a flow mapping or list a plain scalar ends at `,`, `]` or `}`; outside of one these are text."""
    if not any(char in word for char in ",]}"):
        return word
    begin = text.rfind("\n", 0, offset) + 1
    before = text[begin:offset]
    if before.count("{") + before.count("[") > before.count("}") + before.count("]"):
        for position, char in enumerate(word):
            if char in ",]}":
                return word[:position].rstrip()
    return word


def walk_place(node: Any, keys: Sequence[str | int]) -> int:
    """Offset of the value at `keys` below `node`; of the deepest part that exists, where the path leaves the data."""
    offset = int(getattr(node, "offset", 0))
    for key in keys:
        if isinstance(node, Map) and isinstance(key, str):
            offset = node.mark(key)[1]
            node = node.get(key)
        elif isinstance(node, Seq) and isinstance(key, int) and 0 <= key < len(node):
            offset = node.marks[key]
            node = node[key]
        else:
            break
    return offset


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, each once."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda problem: problem.sort_key))
