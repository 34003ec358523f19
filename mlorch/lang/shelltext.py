"""Reading a shell text: its simple commands, its words, and the quotes in which each `${{ … }}` stands.

The text is never changed here, only understood, and only as far as values need it. What bash and POSIX shells read
differently, and what is too intricate to be sure of, is refused where a value stands in the text; a text without values is
the shell's own business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlorch.lang.shellrules import check_command
from mlorch.lang.shellwords import Piece, ShellText, Word
from mlorch.lang.syntax import parts
from mlorch.lang.words import CommandError, Slot, Where, use_variable

if TYPE_CHECKING:
    from mlorch.lang.terms import Expression

_STAYS = frozenset({"if", "then", "elif", "else", "do", "while", "until", "!", "{", "time", "coproc"})
_ENDS = frozenset({"fi", "done", "esac", "}"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^]]*\])?\+?=", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DESCRIPTOR = re.compile(r"[0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)
_REDIRECT = re.compile(r"&>>|&>|<<<|<&|>&|<>|>>|>\||<|>")
_DEEPEST = 30


def read_shell(text: str) -> ShellText:
    """Understand `text`. Raises `CommandError` where a value would become code or its context is not certain."""
    found: list[str | Slot] = []
    slots: dict[int, tuple[int, Slot]] = {}
    position = 0
    for part in parts(text):
        if isinstance(part, str):
            found.append(part)
            position += len(part)
            continue
        slot = Slot(part, Where.WORD)
        end = _slot_end(text, part)
        slots[position] = (end, slot)
        found.append(slot)
        position = end
    reader = _Reader(text, slots)
    try:
        reader.commands_until("", 0)
    except CommandError:
        # Without values there is nothing to protect; the shell itself says what it cannot read.
        if slots:
            raise
    return ShellText(tuple(found), tuple(reader.commands), tuple(reader.words))


def _slot_end(text: str, expression: Expression) -> int:
    return text.index("}}", expression.offset + len(expression.text)) + 2


@dataclass(slots=True)
class _Frame:
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
        return self.start >= 0

    @property
    def in_pattern(self) -> bool:
        return bool(self.cases) and self.cases[-1] == "pattern"

    def put(self, piece: Piece, offset: int) -> None:
        """Add to the word, which begins at `offset` if it has not begun."""
        if self.start < 0:
            self.start = offset
        if isinstance(piece, str) and self.pieces and isinstance(self.pieces[-1], str):
            self.pieces[-1] += piece
        elif piece != "":
            self.pieces.append(piece)


class _Reader:
    def __init__(self, text: str, slots: dict[int, tuple[int, Slot]]) -> None:
        self.text = text
        self.slots = slots
        self.position = 0
        self.limit = len(text)
        self.here: list[tuple[str, bool, bool]] = []
        self.commands: list[tuple[Word, ...]] = []
        self.words: list[Word] = []

    # Commands

    def commands_until(self, closer: str, depth: int) -> None:
        """Read commands up to `closer` (`)`, or "" for the end of the text) and past it."""
        if depth > _DEEPEST:
            raise self._intricate("so many levels of brackets")
        frame, opened = _Frame(), self.position
        while self.position < self.limit:
            if self._slot_at(self.position):
                self._take_slot(frame, Where.WORD)
                continue
            char = self.text[self.position]
            if char == ")" and frame.in_pattern and frame.pieces == ["esac"]:
                self._end_word(frame)
            if char == ")" and closer and not frame.in_pattern and frame.double < 0:
                self._end_command(frame)
                if self.here:
                    raise self._intricate("a here-document that begins inside these brackets and ends outside")
                self.position += 1
                return
            if not (self._quoting(frame, char, depth) or self._structure(frame, char, depth)):
                frame.put(char, self.position)
                self.position += 1
        self._end_command(frame)
        if closer:
            raise CommandError(f"a bracket is opened and never closed by `{closer}`", max(opened - 1, 0))

    def _quoting(self, frame: _Frame, char: str, depth: int) -> bool:
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

    def _structure(self, frame: _Frame, char: str, depth: int) -> bool:
        """Read what separates or groups words at this place, if anything does."""
        at = self.position
        if char in " \t":
            self._end_word(frame)
            self.position += 1
        elif char == "#" and not frame.in_word:
            self._comment()
        elif frame.double >= 0 and char in "()<>|&\n":
            # Between `[[` and `]]` these are operators of the test.
            self._end_word(frame)
            self.position += 1
        elif char == "\n":
            self._end_command(frame)
            self.position += 1
            self._here_documents(depth)
        elif char in "<>" and self.text[at + 1 : at + 2] == "(":
            self.position += 2
            self.commands_until(")", depth + 1)
            frame.put(None, at)
        elif char in "<>" or (char == "&" and self.text[at + 1 : at + 2] == ">"):
            self._redirect(frame)
        elif char in ";&|":
            self._separator(frame)
        elif char == "(":
            self._open(frame, depth)
        elif char == ")":
            self._end_command(frame)
            if frame.in_pattern:
                frame.cases[-1] = "body"
            self.position += 1
        else:
            return False
        return True

    def _separator(self, frame: _Frame) -> None:
        at = self.position
        self._end_command(frame)
        while self.position < self.limit and self.text[self.position] in ";&|" and not self._slot_at(self.position):
            self.position += 1
        ends_branch = self.text[at : self.position] in (";;", ";&", ";;&")
        if ends_branch and frame.cases and frame.cases[-1] == "body":
            frame.cases[-1] = "pattern"

    def _open(self, frame: _Frame, depth: int) -> None:
        at, before = self.position, frame.pieces[-1] if frame.pieces else None
        if frame.in_pattern and not frame.in_word:
            self.position += 1
            return
        follows = self.text[at + 1 : at + 2]
        loop = bool(frame.command) and frame.command[-1].literal == "for" and len(frame.command) == 1
        if follows == "(" and not frame.in_word and (frame.first or loop):
            self.position += 2
            self._arithmetic()
            frame.no_command = True
            return
        if isinstance(before, str) and len(frame.pieces) == 1 and _ASSIGNMENT.fullmatch(before):
            self.position += 1
            self._array(frame, depth)
            return
        if frame.in_word and follows == ")":
            # `name()`: what follows is the function's body.
            frame.pieces, frame.start, frame.command = [], -1, []
            frame.first, frame.no_command = True, False
            self.position += 2
            return
        self._end_word(frame)
        self.position += 1
        self.commands_until(")", depth + 1)
        frame.no_command = True

    def _array(self, frame: _Frame, depth: int) -> None:
        """The elements of `name=( … )`: words, and nothing that is executed."""
        inner = _Frame(no_command=True, first=False)
        while self.position < self.limit:
            if self._slot_at(self.position):
                if inner.pieces and isinstance(inner.pieces[0], str) and inner.pieces[0].startswith("["):
                    self._refuse_slot(self.position, "in the index of an array, which the shell evaluates", "")
                self._take_slot(inner, Where.WORD)
                continue
            char = self.text[self.position]
            if char == ")":
                self._end_word(inner)
                self.position += 1
                frame.put(None, self.position)
                return
            if char == "\n" or (char in " \t" and inner.in_word):
                self._end_word(inner)
                self.position += 1
            elif char == "(" or not (
                self._quoting(inner, char, depth) or (char in " \t#" and self._structure(inner, char, depth))
            ):
                inner.put(char, self.position)
                self.position += 1
        raise CommandError("a bracket is opened and never closed by `)`", max(frame.start, 0))

    def _redirect(self, frame: _Frame) -> None:
        before = frame.pieces[0] if len(frame.pieces) == 1 else None
        if isinstance(before, str) and _DESCRIPTOR.fullmatch(before) and not frame.quoted:
            frame.pieces, frame.start = [], -1
        self._end_word(frame)
        if self.text.startswith("<<", self.position) and not self.text.startswith("<<<", self.position):
            self._here_operator()
            return
        match = _REDIRECT.match(self.text, self.position)
        self.position = match.end() if match else self.position + 1
        frame.target = True

    # Words

    def _end_word(self, frame: _Frame) -> None:
        if not frame.in_word:
            return
        word = Word(tuple(frame.pieces), frame.start, frame.quoted)
        frame.pieces, frame.start, frame.quoted = [], -1, False
        literal = None if word.quoted else word.literal
        if frame.target:
            frame.target = False
            self.words.append(word)
        elif frame.cases and frame.cases[-1] == "head":
            if literal == "in":
                frame.cases[-1] = "pattern"
        elif frame.in_pattern:
            if literal == "esac":
                frame.cases.pop()
                frame.no_command, frame.first = True, False
        elif frame.double >= 0:
            frame.command.append(word)
            self.words.append(word)
            if literal == "]]":
                frame.double = -1
        else:
            self._plain_word(frame, word, literal)

    def _plain_word(self, frame: _Frame, word: Word, literal: str | None) -> None:
        if frame.first and literal is not None:
            if literal in _STAYS:
                return
            if literal in _ENDS:
                if literal == "esac" and frame.cases:
                    frame.cases.pop()
                frame.no_command, frame.first = True, False
                return
            if literal == "case":
                frame.cases.append("head")
                return
            if literal == "[[":
                frame.double = word.offset
        self.words.append(word)
        if frame.first and _ASSIGNMENT.match(self.text, word.offset):
            self._check_assignment(word)
            return
        if len(word.pieces) == 1 and word.slots and word.slots[0].where is Where.WORD:
            word.slots[0].alone = True
        if frame.first and literal in ("for", "select", "function"):
            frame.no_command = True
        frame.first = False
        frame.command.append(word)
        if len(frame.command) == 2 and frame.command[0].literal == "function":
            frame.command, frame.first, frame.no_command = [], True, False

    def _check_assignment(self, word: Word) -> None:
        name = word.prefix.split("=", 1)[0].rstrip("+")
        if word.slots and name in ("PS0", "PS1", "PS4", "PROMPT_COMMAND"):
            raise CommandError(f"the shell runs what `{name}` holds", word.offset)

    def _end_command(self, frame: _Frame) -> None:
        self._end_word(frame)
        command = tuple(frame.command)
        if command:
            check_command(command, any_slots=bool(self.slots))
            if not frame.no_command:
                self.commands.append(command)
        frame.command, frame.no_command, frame.target, frame.first, frame.double = [], False, False, True, -1

    # Slots

    def _slot_at(self, position: int) -> bool:
        return position in self.slots

    def _take_slot(self, frame: _Frame, where: Where) -> None:
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

    def _find(self, closer: str, start: int, place: str, *, escapes: bool = False) -> int:
        """Where `closer` is from `start` on; slots before it are refused as standing in `place`."""
        position = start
        while position < self.limit:
            if self._slot_at(position):
                self._refuse_slot(position, place, "")
            if escapes and self.text[position] == "\\":
                position += 2
                continue
            if self.text[position] == closer:
                self._refuse_slots(start, position, place)
                return position
            position += 1
        raise CommandError(f"`{closer}` is opened and never closed", start - 1)

    def _single_quoted(self) -> str:
        start = self.position + 1
        end = self._find("'", start, "inside single quotes, where the shell fills in nothing")
        self.position = end + 1
        return self.text[start:end]

    def _backquoted(self) -> None:
        self.position = self._find("`", self.position + 1, "inside backquotes; write `$(…)` instead", escapes=True) + 1

    def _double_quoted(self, frame: _Frame, depth: int, closer: str) -> None:
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

    def _dollar(self, frame: _Frame, depth: int, *, quoted: bool) -> None:
        at = self.position
        self._refuse_slot(at + 1, "right after a `$`", 'leave out the first `$`, or write "\\$" before it')
        follows = self.text[at + 1 : at + 2]
        name = _NAME.match(self.text, at + 1)
        self.position = at + 2
        if self.text.startswith("((", at + 1):
            self.position = at + 3
            self._arithmetic()
        elif follows == "(":
            self.commands_until(")", depth + 1)
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
                self._double_quoted(_Frame(), depth, '"')
            elif char == "`":
                self.position = at
                self._backquoted()
            elif char == "$" and self.text[at + 1 : at + 2] in ("(", "{"):
                self.position = at
                self._dollar(_Frame(), depth + 1, quoted=quoted)
        raise CommandError("`${` is opened and never closed", start - 2)

    def _comment(self) -> None:
        while self.position < self.limit and self.text[self.position] != "\n":
            found = self.slots.get(self.position)
            if found:
                found[1].where = Where.COMMENT
                self.position = found[0]
            else:
                self.position += 1

    # Here-documents

    def _here_operator(self) -> None:
        strip = self.text.startswith("<<-", self.position)
        self.position += 3 if strip else 2
        while self.text[self.position : self.position + 1] in (" ", "\t"):
            self.position += 1
        start, delimiter, quoted = self.position, "", False
        while self.position < self.limit and self.text[self.position] not in " \t\n;&|<>()":
            self._refuse_slot(self.position, "in the delimiter of a here-document", "write a fixed word")
            char = self.text[self.position]
            self.position += 1
            if char in "'\"":
                end = self._find(char, self.position, "in the delimiter of a here-document")
                delimiter, quoted = delimiter + self.text[self.position : end], True
                self.position = end + 1
            elif char == "\\":
                self._refuse_slot(self.position, "in the delimiter of a here-document", "write a fixed word")
                delimiter, quoted = delimiter + self.text[self.position : self.position + 1], True
                self.position += 1
            elif char in "$`":
                self._refuse_all(f"`{char}` in the delimiter of a here-document")
            else:
                delimiter += char
        if start == self.position:
            raise CommandError("`<<` without a delimiter", start - 1)
        self.here.append((delimiter, quoted, strip))

    def _here_documents(self, depth: int) -> None:
        """Read the bodies that begin at this line, in the order of their operators."""
        waiting, self.here = self.here, []
        for delimiter, quoted, strip in waiting:
            start = self.position
            stop, after = self._here_end(delimiter, joined=not quoted, strip=strip)
            if quoted:
                place = "in a here-document whose delimiter is quoted, where the shell fills in nothing"
                self._refuse_slots(start, stop, place, "take the quotes off the delimiter")
            else:
                outer, self.limit = self.limit, stop
                self._double_quoted(_Frame(), depth, "")
                if self.position > stop:
                    raise self._intricate("an expansion that goes on past its here-document")
                self.limit = outer
            self.position = after

    def _here_end(self, delimiter: str, *, joined: bool, strip: bool) -> tuple[int, int]:
        """(where the body ends, where the text goes on); a line that `joined` continues is no delimiter."""
        position, continues = self.position, False
        while position < self.limit:
            end = self._line_end(position)
            line = self.text[position:end]
            if not continues and (line.lstrip("\t") if strip else line) == delimiter:
                return position, min(end + 1, self.limit)
            slashes = len(line) - len(line.rstrip("\\"))
            continues = joined and slashes % 2 == 1
            position = end + 1
        return self.limit, self.limit

    def _line_end(self, position: int) -> int:
        while position < self.limit and self.text[position] != "\n":
            position = self.slots[position][0] if self._slot_at(position) else position + 1
        return min(position, self.limit)
