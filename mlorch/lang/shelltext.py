"""Reading a shell text: its simple commands, its words, and the quotes in which each `${{ … }}` stands.

The text is never changed here, only understood, and only as far as values need it. What bash and POSIX shells read
differently, and what is too intricate to be sure of, is refused where a value stands in the text; a text without values is
the shell's own business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlorch.lang.shellquotes import Frame, Quotes
from mlorch.lang.shellrules import check_assigned, check_command
from mlorch.lang.shellwords import ShellText, Word
from mlorch.lang.syntax import parts
from mlorch.lang.words import CommandError, Slot, Where

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


class _Reader(Quotes):
    def __init__(self, text: str, slots: dict[int, tuple[int, Slot]]) -> None:
        super().__init__(text, slots)
        self.commands: list[tuple[Word, ...]] = []
        self.words: list[Word] = []

    # Commands

    def commands_until(self, closer: str, depth: int) -> None:
        """Read commands up to `closer` (`)`, or "" for the end of the text) and past it."""
        if depth > _DEEPEST:
            raise self._intricate("so many levels of brackets")
        frame, opened = Frame(), self.position
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

    def _structure(self, frame: Frame, char: str, depth: int) -> bool:
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
            self.substitution(depth)
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

    def _separator(self, frame: Frame) -> None:
        at = self.position
        self._end_command(frame)
        while self.position < self.limit and self.text[self.position] in ";&|" and not self._slot_at(self.position):
            self.position += 1
        ends_branch = self.text[at : self.position] in (";;", ";&", ";;&")
        if ends_branch and frame.cases and frame.cases[-1] == "body":
            frame.cases[-1] = "pattern"

    def _open(self, frame: Frame, depth: int) -> None:
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

    def _array(self, frame: Frame, depth: int) -> None:
        """The elements of `name=( … )`: words, and nothing that is executed."""
        inner, name = Frame(no_command=True, first=False), str(frame.pieces[0])
        while self.position < self.limit:
            if self._slot_at(self.position):
                check_assigned(Word((name, self.slots[self.position][1]), frame.start))
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

    def _redirect(self, frame: Frame) -> None:
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

    def _end_word(self, frame: Frame) -> None:
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

    def _plain_word(self, frame: Frame, word: Word, literal: str | None) -> None:
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
            check_assigned(word)
            return
        if len(word.pieces) == 1 and word.slots and word.slots[0].where is Where.WORD:
            word.slots[0].alone = True
        if frame.first and literal in ("for", "select", "function"):
            frame.no_command = True
        frame.first = False
        frame.command.append(word)
        if len(frame.command) == 2 and frame.command[0].literal == "function":
            frame.command, frame.first, frame.no_command = [], True, False

    def _end_command(self, frame: Frame) -> None:
        self._end_word(frame)
        command = tuple(frame.command)
        if command:
            check_command(command, any_slots=bool(self.slots))
            if not frame.no_command:
                self.commands.append(command)
        frame.command, frame.no_command, frame.target, frame.first, frame.double = [], False, False, True, -1

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
                self._double_quoted(Frame(), depth, "")
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
