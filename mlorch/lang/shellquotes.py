"""What quotes and expands in a shell text, and where a value may stand in it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlorch.lang.words import CommandError, Slot, Where, use_variable

if TYPE_CHECKING:
    from mlorch.lang.shellwords import Piece, Word

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(slots=True)
class Frame:
    """What is known while the commands of one level are read: the text itself, or what stands in `$(…)` or `(…)`."""

    pieces: list[Piece] = field(default_factory=list)
    start: int = -1
    quoted: bool = False
    command: list[Word] = field(default_factory=list)
    no_command: bool = False
    first: bool = True
    target: bool = False
    double: int = -1
    cases: list[str] = field(default_factory=list)

    @property
    def in_word(self) -> bool:
        """A word has begun, be it empty so far."""
        return self.start >= 0

    @property
    def in_pattern(self) -> bool:
        """Between `in` or `;;` and the `)` of a branch of `case`."""
        return bool(self.cases) and self.cases[-1] == "pattern"

    def put(self, piece: Piece, offset: int) -> None:
        """Add to the word, which begins at `offset` if it has not begun."""
        if self.start < 0:
            self.start = offset
        if isinstance(piece, str) and self.pieces and isinstance(self.pieces[-1], str):
            self.pieces[-1] += piece
        elif piece != "":
            self.pieces.append(piece)


class Quotes(ABC):
    """A place in a shell text that moves forward past one quoted or expanded thing at a time.

    Every method raises `CommandError` where a value would become code, or where its context is not certain.
    """

    def __init__(self, text: str, slots: dict[int, tuple[int, Slot]]) -> None:
        self.text = text
        self.slots = slots
        self.position = 0
        self.limit = len(text)
        self.here: list[tuple[str, bool, bool]] = []
        """Here-documents whose operators were read and whose bodies begin at the next line."""

    @abstractmethod
    def commands_until(self, closer: str, depth: int) -> None:
        """Read commands up to `closer` (`)`, or "" for the end of the text) and past it."""

    def substitution(self, depth: int) -> None:
        """Read the commands of `$(…)` or `<(…)` and its closing bracket."""
        start, waiting = self.position, bool(self.here)
        self.commands_until(")", depth + 1)
        if waiting and "\n" in self.text[start : self.position]:
            # Shells differ in which line the here-document outside then begins with.
            raise self._intricate("a line that ends inside `$(…)` after `<<`")

    # Slots

    def _slot_at(self, position: int) -> bool:
        return position in self.slots

    def _take_slot(self, frame: Frame, where: Where) -> None:
        end, slot = self.slots[self.position]
        slot.where = where
        prefix = frame.pieces[0] if frame.pieces else None
        if frame.first and isinstance(prefix, str) and re.match(r"[A-Za-z_][A-Za-z0-9_]*\[[^]]*$", prefix):
            self._refuse_slot(self.position, "in the index of an array, which the shell evaluates", "")
        frame.put(slot, self.position)
        self.position = end

    def _refuse_slot(self, position: int, place: str, hint: str) -> None:
        """An error if a slot begins at `position`."""
        found = self.slots.get(position)
        if found:
            expression = found[1].expression
            raise CommandError(
                f"`${{{{ {expression.text} }}}}` stands {place}", position, hint or use_variable(expression, '"${}"')
            )

    def _refuse_slots(self, start: int, stop: int, place: str, hint: str = "") -> None:
        """An error if a slot begins between `start` and `stop`, or a here-document would have to begin there."""
        if self.here and "\n" in self.text[start:stop]:
            raise self._intricate("a line that ends inside quotes or brackets after `<<`")
        for position in self.slots:
            if start <= position < stop:
                self._refuse_slot(position, place, hint)

    def _intricate(self, what: str) -> CommandError:
        return CommandError(
            f"{what} is more than can be read for sure",
            min(self.position, len(self.text) - 1),
            "put it into a script of its own",
        )

    # Quotes and expansions

    def _quoting(self, frame: Frame, char: str, depth: int) -> bool:
        """Read what quotes or expands at this place, if anything does."""
        at = self.position
        if char == "\\":
            self._refuse_slot(at + 1, "after a backslash", "leave out the backslash")
            if self.text[at + 1 : at + 2] != "\n":
                frame.put(self.text[at + 1 : at + 2] or "\\", at)
                frame.quoted = True
            self.position = at + 2
        elif char == "'":
            frame.quoted = True
            frame.put(self._single_quoted(), at)
        elif char == '"':
            frame.quoted = True
            frame.put("", at)
            self.position += 1
            self._double_quoted(frame, depth, '"')
        elif char == "`":
            self._backquoted()
            frame.put(None, at)
        elif char == "$":
            self._dollar(frame, depth, quoted=False)
        else:
            return False
        return True

    def _find(self, closer: str, start: int, place: str, hint: str = "", *, escapes: bool = False) -> int:
        """Where `closer` is from `start` on; slots before it are refused as standing in `place`."""
        position = start
        while position < self.limit:
            if self._slot_at(position):
                self._refuse_slot(position, place, hint)
            if escapes and self.text[position] == "\\":
                position += 2
                continue
            if self.text[position] == closer:
                self._refuse_slots(start, position, place, hint)
                return position
            position += 1
        raise CommandError(f"`{closer}` is opened and never closed", start - 1)

    def _single_quoted(self) -> str:
        start = self.position + 1
        end = self._find("'", start, "inside single quotes, where the shell fills in nothing", "write double quotes")
        self.position = end + 1
        return self.text[start:end]

    def _backquoted(self) -> None:
        self.position = self._find("`", self.position + 1, "inside backquotes; write `$(…)` instead", escapes=True) + 1

    def _double_quoted(self, frame: Frame, depth: int, closer: str) -> None:
        """Read up to `closer` (`"`, or "" for a here-document up to the limit); expansions happen, words do not split."""
        opened = self.position
        where = Where.QUOTED if closer else Where.PLAIN
        while self.position < self.limit:
            at = self.position
            if self._slot_at(at):
                self._take_slot(frame, where)
                continue
            char = self.text[at]
            if char == closer:
                self.position += 1
                return
            if char == "\\":
                self._refuse_slot(at + 1, "after a backslash", "leave out the backslash")
                follows = self.text[at + 1 : at + 2]
                frame.put(follows if follows in '$`"\\' else "" if follows == "\n" else char + follows, at)
                self.position += 2
            elif char == "`":
                self._backquoted()
                frame.put(None, at)
            elif char == "$":
                self._dollar(frame, depth, quoted=True)
            else:
                if char == "\n" and self.here:
                    raise self._intricate("a line that ends inside quotes after `<<`")
                frame.put(char, at)
                self.position += 1
        if closer:
            raise CommandError(f"`{closer}` is opened and never closed", opened - 1)

    def _dollar(self, frame: Frame, depth: int, *, quoted: bool) -> None:
        at = self.position
        self._refuse_slot(at + 1, "right after a `$`", 'leave out the first `$`, or write "\\$" before it')
        follows = self.text[at + 1 : at + 2]
        name = _NAME.match(self.text, at + 1)
        self.position = at + 2
        if self.text.startswith("((", at + 1):
            self.position = at + 3
            self._arithmetic()
        elif follows == "(":
            self.substitution(depth)
        elif follows == "{":
            self._parameter(depth, quoted=quoted)
        elif follows == "[":
            self._refuse_all("`$[…]`, which shells read differently; write `$((…))`")
        elif follows == "'" and not quoted:
            self._ansi_quoted()
        elif follows == '"' and not quoted:
            self._refuse_all('`$"…"`, which shells read differently; leave out the `$`')
            self._double_quoted(frame, depth, '"')
        elif name is not None:
            self.position = name.end()
        elif not (follows and follows in "$?!#@*-0123456789"):
            frame.put("$", at)
            self.position = at + 1
            return
        frame.put(None, at)

    def _refuse_all(self, what: str) -> None:
        if self.slots:
            raise CommandError(f"this text has {what}", self.position - 2)

    def _ansi_quoted(self) -> None:
        start = self.position
        end = self._find("'", start, "inside `$'…'`, where the shell fills in nothing", escapes=True)
        if "\\'" in self.text[start:end]:
            self._refuse_all("`\\'` inside `$'…'`, which shells read differently")
        self.position = end + 1

    def _arithmetic(self) -> None:
        """Past the `))` of `((`. A value in there would be evaluated, and an index in it executed."""
        start, depth, last = self.position, 2, -1
        place = "in arithmetic, where the shell would evaluate its value"
        while self.position < self.limit:
            at = self.position
            self._refuse_slot(at, place, "compute it inside `${{ }}`, or in the program")
            char = self.text[at]
            self.position += 1
            if char == "\\":
                self._refuse_slot(at + 1, place, "")
                self.position += 1
            elif char in "'\"":
                self.position = self._find(char, at + 1, place, escapes=char == '"') + 1
            elif char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if depth == 0:
                    self._refuse_slots(start, at, place)
                    if last != at - 1:
                        self._refuse_all("`((` that does not end with `))`; put a space between the brackets")
                    return
                last = at
        raise CommandError("`((` is opened and never closed", start - 2)

    def _parameter(self, depth: int, *, quoted: bool) -> None:
        """Past the `}` of `${`. What stands in there is refused: each operator has quoting rules of its own."""
        start = self.position
        place = "inside `${…}`, where quotes have other rules"
        while self.position < self.limit:
            at = self.position
            self._refuse_slot(at, place, "")
            char = self.text[at]
            self.position += 1
            if char == "}":
                self._refuse_slots(start, at, place)
                return
            if char == "\\":
                self._refuse_slot(at + 1, place, "")
                self.position += 1
            elif char == "'":
                if quoted:
                    self._refuse_all("a single quote inside `${…}` in double quotes, which shells read differently")
                self.position = self._find("'", at + 1, place) + 1
            elif char == '"':
                self._double_quoted(Frame(), depth, '"')
            elif char == "`":
                self.position = at
                self._backquoted()
            elif char == "$" and self.text[at + 1 : at + 2] in ("(", "{"):
                self.position = at
                self._dollar(Frame(), depth + 1, quoted=quoted)
        raise CommandError("`${` is opened and never closed", start - 2)

    def _comment(self) -> None:
        while self.position < self.limit and self.text[self.position] != "\n":
            found = self.slots.get(self.position)
            if found:
                found[1].where = Where.COMMENT
                self.position = found[0]
            else:
                self.position += 1
