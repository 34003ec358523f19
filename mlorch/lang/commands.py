"""Commands: text or an argv list becomes what is started, and a value in it never becomes code.

In an argv list a value fills one argument. In a shell text it travels as an environment variable, and the text gets a
quoted reference to it, right for the quotes that it stands in. A text that needs no shell is split into words first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlorch.lang.executed import Candidate, candidates
from mlorch.lang.expressions import Expression, ExpressionError, Path, evaluate, has_expression, parts, to_text
from mlorch.lang.interpreters import SHELLS, code_argument, only_paths
from mlorch.lang.words import CommandError, Pieces, Slot, Where, use_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlorch.lang.shellwords import ShellText, Word

__all__ = ["Command", "CommandError", "RenderedCommand", "executed", "parse_command", "render_command"]

Mode: TypeAlias = Literal["argv", "shell", "python"]
Shell: TypeAlias = Literal["bash", "sh"]

LONGEST_VALUE = 128 * 1024
"""Bytes of one argument or variable, with its name and the byte that ends it: Linux takes no more (MAX_ARG_STRLEN)."""

_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=+@%-")
"""Characters that mean nothing to a shell, nor to a programming language inside its quotes."""
_SIMPLE = _HARMLESS | {" "}
_SYNTAX = frozenset("|&;<>()$`\\*?[]~{}\n")
_SHELL_WORDS = frozenset(
    [
        "!",
        ".",
        ":",
        "[[",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "caller",
        "case",
        "cd",
        "command",
        "compgen",
        "complete",
        "continue",
        "coproc",
        "declare",
        "dirs",
        "disown",
        "do",
        "done",
        "elif",
        "else",
        "enable",
        "esac",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fc",
        "fg",
        "fi",
        "for",
        "function",
        "getopts",
        "hash",
        "help",
        "history",
        "if",
        "jobs",
        "kill",
        "let",
        "local",
        "logout",
        "mapfile",
        "popd",
        "pushd",
        "read",
        "readarray",
        "readonly",
        "return",
        "select",
        "set",
        "shift",
        "shopt",
        "source",
        "suspend",
        "then",
        "time",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "while",
    ]
)
"""First words that only a shell knows, or that mean something else to it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, read. `references` are the dotted paths that its expressions refer to.

    `used_env_params` are the parameters whose variables (`MLORCH_PARAM_X`) its text names, in lower case. `words` are the
    arguments (or the words of a shell text) with their expressions as typed; words that only a shell can know are left out.
    `shell` is the shell that was asked for, "" for whichever there is.
    """

    run: str | tuple[str, ...]
    mode: Mode
    shell: str
    references: frozenset[Path]
    used_env_params: frozenset[str]
    words: tuple[str, ...]
    arguments: tuple[Pieces, ...] = ()
    script: int = -1
    text: ShellText | None = None

    def mentions_output(self, name: str) -> bool:
        """Whether the command names the place to write output `name` to: `${{ outputs.name }}` or `MLORCH_OUTPUT_NAME`."""
        if any(path[0] == "outputs" and (len(path) == 1 or path[1] == name) for path in self.references):
            return True
        variable = f"MLORCH_OUTPUT_{name.upper()}"
        whole = self.run if isinstance(self.run, str) else "\n".join(self.run)
        return variable in whole and re.search(variable + r"(?![A-Z0-9_])", whole) is not None


@dataclass(frozen=True, slots=True)
class RenderedCommand:
    """A command with its values. `env` are the variables in which values travel; with `argv` it says all that is run.

    `display` is for people: the values stand in it, quoted so that it could be pasted. `words` are the filled-in `words`.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    display: str
    words: tuple[str, ...] = ()


def parse_command(run: str | tuple[str, ...], shell: str = "") -> Command:
    """Read a step's `run` (a text or an argv list) for `shell` ("", `bash`, `sh` or `python`).

    Raises `CommandError`, and `ExpressionError` for an expression that cannot be read.
    """
    texts = (run,) if isinstance(run, str) else run
    for index, text in enumerate(texts):
        if "\0" in text:
            raise CommandError("a NUL byte cannot be part of a command", text.index("\0"), word=_word(run, index))
    if not any(text.strip() for text in texts[:1]):
        raise CommandError("the command is empty", 0, "write what is to be run", _word(run, 0))
    if isinstance(run, tuple):
        if shell:
            raise CommandError(f"an argv list needs no shell, and `shell: {shell}` is set", 0, "leave one of them out")
        return _from_list(run)
    if shell == "python":
        return _python(run)
    if not shell and _SIMPLE.issuperset(run):
        words = run.split()
        if words[0] not in _SHELL_WORDS and not _is_assignment(words[0]):
            return _argv(run, tuple((word,) for word in words))
    if not shell and (plain := _plain_words(run.strip("\n"), run)):
        return _argv(run, plain)
    read = _read_shell(run)
    _refuse_secrets(read.pieces)
    words = [template for word in read.words if (template := word.template) is not None]
    return _command(run, "shell", asked=shell, words=tuple(words), text=read, slots=read.pieces)


def render_command(command: Command, scope: Mapping[str, object], which_shell: Shell) -> RenderedCommand:
    """Fill in the values. `which_shell` is the shell that this machine has; a command that asked for one gets that.

    Raises `CommandError` for a value that cannot stand where it should (a list inside text, more than 128 KiB, a NUL byte),
    and `ExpressionError` for one that cannot be had or is null. What a lazy scope raises passes through.
    """
    values = _Values(scope)
    if command.mode == "python":
        text = str(command.run)
        return _checked(RenderedCommand(("python3", "-c", text), (), text.strip(), ()))
    if command.text is not None:
        text, display = values.script(command.text.pieces), values.shown(command.text.pieces)
        shell = command.shell or which_shell
        argv = (shell, *(("-euo", "pipefail") if shell == "bash" else ("-eu",)), "-c", text)
        return _checked(
            RenderedCommand(argv, tuple(values.env.items()), display.strip(), values.words(command.text.words))
        )
    filled: list[str] = []
    shown: list[str] = []
    for index, pieces in enumerate(command.arguments):
        if index == command.script:
            filled.append(values.script(pieces))
            shown.append(_quote(values.shown(pieces)))
            continue
        try:
            found = values.fill(pieces)
        except CommandError as error:
            raise CommandError(error.message, error.offset, error.hint, _word(command.run, index)) from None
        filled.extend(found)
        shown.extend(_quote(text) for text in found)
    if not filled:
        raise CommandError("the command is empty: its list has no items", 0, "give it at least one")
    return _checked(RenderedCommand(tuple(filled), tuple(values.env.items()), " ".join(shown), tuple(filled)))


def executed(command: Command) -> tuple[Candidate, ...]:
    """What the command executes, as far as it can be seen: ("path", "jobs/x.py") or ("module", "pkg.mod").

    The first word of each simple command where it is a path, and the script or module given to an interpreter.
    """
    found: dict[Candidate, None] = {}
    for words in _simple_commands(command):
        found.update(dict.fromkeys(candidates(words)))
        index = next((at for start in range(len(words)) if (at := _shell_code(words, start)) >= 0), -1)
        inner = words[index] if index >= 0 else None
        if inner:
            for nested in _read_shell(inner).commands:
                found.update(dict.fromkeys(candidates([word.literal for word in nested])))
    return tuple(found)


def _shell_code(words: list[str | None], start: int) -> int:
    name = (words[start] or "").rsplit("/", 1)[-1]
    return code_argument(words, start) if name in SHELLS else -1


def _simple_commands(command: Command) -> Iterator[list[str | None]]:
    if command.text is not None:
        for simple in command.text.commands:
            yield [word.literal for word in simple]
    elif command.mode == "argv":
        words: list[str | None] = []
        for pieces in command.arguments:
            only = pieces[0] if len(pieces) == 1 else "" if not pieces else None
            words.append(only if isinstance(only, str) else None)
        if command.script >= 0:
            for simple in _read_shell(_template(command.arguments[command.script])).commands:
                yield [word.literal for word in simple]
        yield words


# Reading


def _word(run: str | tuple[str, ...], index: int) -> int | None:
    return None if isinstance(run, str) else index


def _is_assignment(word: str) -> bool:
    """Whether a shell would take a first word for `NAME=value`."""
    return "=" in word and word.split("=", 1)[0].rstrip("+").isidentifier()


def _variables(text: str) -> frozenset[str]:
    found: list[str] = re.findall(r"MLORCH_PARAM_([A-Z][A-Z0-9_]*)", text)
    return frozenset(name.lower() for name in found)


def _read_shell(text: str) -> ShellText:
    from mlorch.lang.shelltext import read_shell

    return read_shell(text)


def _template(pieces: Iterable[str | Slot]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.typed for piece in pieces)


def _command(
    run: str | tuple[str, ...],
    mode: Mode,
    *,
    slots: Iterable[str | Slot] = (),
    asked: str = "",
    words: tuple[str, ...] = (),
    arguments: tuple[Pieces, ...] = (),
    script: int = -1,
    text: ShellText | None = None,
) -> Command:
    names = frozenset(name for piece in slots if isinstance(piece, Slot) for name in piece.expression.names)
    whole = run if isinstance(run, str) else "\n".join(run)
    used = _variables(whole) if "MLORCH_PARAM_" in whole else frozenset()
    return Command(run, mode, asked, names, used, words, arguments, script, text)


def _argv(run: str | tuple[str, ...], arguments: tuple[Pieces, ...]) -> Command:
    """A command without a shell, whose code arguments (`sh -c …`, `python -c …`) are held against the rule."""
    slots = [piece for pieces in arguments for piece in pieces if isinstance(piece, Slot)]
    script = -1
    if slots:
        _refuse_secrets(slots)
        literals = [pieces[0] if len(pieces) == 1 and isinstance(pieces[0], str) else None for pieces in arguments]
        for start, literal in enumerate(literals):
            index = code_argument(literals, start) if literal else -1
            if index < 0 or not any(isinstance(piece, Slot) for piece in arguments[index]):
                continue
            if (literal or "").rsplit("/", 1)[-1] in SHELLS and script < 0:
                script = index
                read = _nested(run, index, arguments[index])
                arguments = (*arguments[:index], read.pieces, *arguments[index + 1 :])
            else:
                _check_code(run, index, arguments[index], literal or "")
    words = tuple(_template(pieces) for pieces in arguments)
    return _command(run, "argv", slots=slots, words=words, arguments=arguments, script=script)


def _nested(run: str | tuple[str, ...], index: int, pieces: Pieces) -> ShellText:
    """The text given to a shell as an argument, with its values as references."""
    try:
        return _read_shell(_template(pieces))
    except CommandError as error:
        raise CommandError(error.message, error.offset, error.hint, _word(run, index)) from None


def _check_code(run: str | tuple[str, ...], index: int, pieces: Pieces, program: str) -> None:
    for piece in pieces:
        if not isinstance(piece, Slot):
            continue
        if not only_paths(piece):
            raise CommandError(
                f"`${{{{ {piece.expression.text} }}}}`: `{program}` would read it as code",
                piece.expression.offset,
                f"{_in_python(piece.expression)}, or pass it as an argument after the program's text",
                _word(run, index),
            )
        piece.code = True


def _from_list(run: tuple[str, ...]) -> Command:
    arguments: list[Pieces] = []
    for index, item in enumerate(run):
        if not has_expression(item):
            arguments.append((item,))
            continue
        try:
            found = parts(item)
        except ExpressionError as error:
            raise CommandError(error.message, error.offset, error.hint, index) from None
        alone = len(found) == 1
        arguments.append(
            tuple(part if isinstance(part, str) else Slot(part, Where.WORD, alone=alone) for part in found)
        )
    return _argv(run, tuple(arguments))


def _in_python(expression: Expression) -> str:
    return use_variable(expression, 'os.environ["{}"]')


def _python(run: str) -> Command:
    for part in parts(run):
        if isinstance(part, Expression):
            raise CommandError(
                f"`${{{{ {part.text} }}}}` in a Python program, into which no values are filled",
                part.offset,
                _in_python(part),
            )
    return _command(run, "python", asked="python")


def _refuse_secrets(pieces: Iterable[str | Slot]) -> None:
    for piece in pieces:
        if isinstance(piece, Slot):
            for path in piece.expression.names:
                if path[0] == "secrets":
                    name = path[1] if len(path) > 1 else "NAME"
                    raise CommandError(
                        f"`${{{{ {piece.expression.text} }}}}`: a secret does not go into a command, where others could see it",
                        piece.expression.offset,
                        f"list it under the step's `secrets` and use the variable ${name}",
                    )


def _plain_words(text: str, run: str) -> tuple[Pieces, ...]:
    """The words of a text that needs no shell: nothing but words, values, and quotes around fixed text; () if it does."""
    before = len(run) - len(run.lstrip("\n"))
    slots = {part.offset - before: part for part in parts(run) if isinstance(part, Expression)}
    starts = {text.rindex("${{", 0, offset): part for offset, part in slots.items()}
    words: list[Pieces] = []
    pieces: list[str | Slot] = []
    position, begun, quoted, quote = 0, False, False, ""
    while position < len(text):
        char, found = text[position], starts.get(position)
        if found is not None:
            if quote == "'":
                raise CommandError(
                    f"`${{{{ {found.text} }}}}` stands inside single quotes, where the shell fills in nothing",
                    position + before,
                    "write double quotes",
                )
            pieces.append(Slot(found, Where.QUOTED if quote else Where.WORD))
            begun = True
            position = text.index("}}", found.offset - before + len(found.text)) + 2
            continue
        position += 1
        if quote:
            if char == quote:
                quote = ""
            elif quote == '"' and char in "$`\\":
                return ()
            else:
                _put(pieces, char)
        elif char in "'\"":
            quote, begun, quoted = char, True, True
        elif char in " \t":
            _finish(words, pieces, begun=begun, quoted=quoted)
            pieces, begun, quoted = [], False, False
        elif char in _SYNTAX or (char == "#" and not begun):
            return ()
        else:
            _put(pieces, char)
            begun = True
    _finish(words, pieces, begun=begun, quoted=quoted)
    first = words[0][0] if words and words[0] else ""
    if quote or (isinstance(first, str) and (first in _SHELL_WORDS or _is_assignment(first))):
        return ()
    return tuple(words)


def _put(pieces: list[str | Slot], char: str) -> None:
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] += char
    else:
        pieces.append(char)


def _finish(words: list[Pieces], pieces: list[str | Slot], *, begun: bool, quoted: bool) -> None:
    if begun:
        only = pieces[0] if len(pieces) == 1 else None
        if isinstance(only, Slot) and not quoted:
            only.alone = True
        words.append(tuple(pieces))


# Filling in


class _Values:
    """The values of one command: each evaluated once, with the variables in which they travel."""

    def __init__(self, scope: Mapping[str, object]) -> None:
        self._scope = scope
        self._known: dict[str, object] = {}
        self._numbers: dict[str, int] = {}
        self.env: dict[str, str] = {}

    def _value(self, slot: Slot) -> str | list[str]:
        """The text of a slot, or the texts of a list that may fill several words."""
        expression = slot.expression
        shown = f"`${{{{ {expression.text} }}}}`"
        if expression.text not in self._known:
            try:
                self._known[expression.text] = evaluate(expression, self._scope)
            except ExpressionError as error:
                raise error.moved(expression.offset) from None
        value = self._known[expression.text]
        try:
            if isinstance(value, list):
                if not slot.alone:
                    raise CommandError(
                        f"{shown} is a list, and can only be a word of its own, outside quotes",
                        expression.offset,
                        "put spaces around it, or take one item",
                    )
                return [to_text(item, f"item {index} of {shown}") for index, item in enumerate(value)]
            text = to_text(value, shown)
        except ExpressionError as error:
            raise error.moved(expression.offset) from None
        if slot.code and not _HARMLESS.issuperset(text):
            raise CommandError(
                f"{shown} is {_quote(text)}, which could be code here", expression.offset, _in_python(expression)
            )
        return text

    def fill(self, pieces: Pieces) -> list[str]:
        """The arguments that the pieces of one word become: one, or as many as a list of its own has."""
        out: list[str] = []
        for piece in pieces:
            value = piece if isinstance(piece, str) else self._value(piece)
            if isinstance(value, list):
                return value
            out.append(value)
        return ["".join(out)]

    def script(self, pieces: Iterable[str | Slot]) -> str:
        """A shell text with references in place of its slots; their values are in `env` afterwards."""
        return "".join(piece if isinstance(piece, str) else self._reference(piece) for piece in pieces)

    def _reference(self, slot: Slot) -> str:
        value = self._value(slot)
        number = self._numbers.setdefault(slot.expression.text, len(self._numbers))
        name = f"MLORCH_E{number}"
        if isinstance(value, list):
            names = [f"{name}_{index}" for index in range(len(value))]
            self.env.update(zip(names, value, strict=True))
            return " ".join(f'"${{{item}}}"' for item in names)
        self.env[name] = value
        return f'"${{{name}}}"' if slot.where is Where.WORD else f"${{{name}}}"

    def shown(self, pieces: Iterable[str | Slot]) -> str:
        """The text with its values, for people: quoted so that pasting it would do the same."""
        out: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                out.append(piece)
                continue
            value = self._value(piece)
            if isinstance(value, list):
                out.append(" ".join(_quote(item) for item in value))
            elif piece.where is Where.WORD:
                out.append(_quote(value))
            elif piece.where is Where.COMMENT:
                out.append(" ".join(value.split()))
            else:
                out.append(re.sub(r'[\\$`"]' if piece.where is Where.QUOTED else r"[\\$`]", r"\\\g<0>", value))
        return "".join(out)

    def words(self, words: Iterable[Word]) -> tuple[str, ...]:
        """The words of a shell text with their values; those that only the shell can know are left out."""
        out: list[str] = []
        for word in words:
            pieces = tuple(piece for piece in word.pieces if piece is not None)
            if len(pieces) == len(word.pieces):
                out.extend(self.fill(pieces))
        return tuple(out)


def _quote(text: str) -> str:
    """`text` as one word for a shell, as plain as it can be."""
    return text if text and _HARMLESS.issuperset(text) else "'" + text.replace("'", "'\"'\"'") + "'"


def _checked(rendered: RenderedCommand) -> RenderedCommand:
    """The same, if the system can start it."""
    for name, value in (*(("", text) for text in rendered.argv), *rendered.env):
        what = f"the value of {name}" if name else "an argument of the command"
        if "\0" in value:
            raise CommandError(f"{what} has a NUL byte, which no command can be given", 0, "pass it in a file")
        if len(value) + len(name) + 2 > LONGEST_VALUE or not value.isascii():
            try:
                size = len(value.encode("utf-8", "surrogateescape")) + len(name) + 2
            except UnicodeEncodeError:
                raise CommandError(f"{what} is no text that can be encoded", 0) from None
            if size > LONGEST_VALUE:
                raise CommandError(f"{what} has {size} bytes, and the system takes 128 KiB", 0, "pass it in a file")
    return rendered
