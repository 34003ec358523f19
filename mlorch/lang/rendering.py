"""Filling values into a command: as arguments, or as variables that its text refers to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from mlorch.lang.expressions import ExpressionError, NotKnownYet, evaluate, to_text
from mlorch.lang.words import HARMLESS, CommandError, Pieces, Slot, Where, use_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlorch.lang.shellwords import ShellText, Word
    from mlorch.lang.terms import Expression, Path

Mode: TypeAlias = Literal["argv", "shell", "python"]
Shell: TypeAlias = Literal["bash", "sh"]

LONGEST_VALUE = 128 * 1024
"""Bytes of one argument or variable, with its name and the byte that ends it: Linux takes no more (MAX_ARG_STRLEN)."""


class Command(NamedTuple):
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

    def slots(self) -> Iterator[tuple[Slot, int]]:
        """Its slots, each with the number of the argument that it stands in (0 in a text for a shell)."""
        arguments = (self.text.pieces,) if self.text is not None else self.arguments
        for index, pieces in enumerate(arguments):
            yield from ((piece, index) for piece in pieces if isinstance(piece, Slot))


class RenderedCommand(NamedTuple):
    """A command with its values. `env` are the variables in which values travel; with `argv` it says all that is run.

    `display` is for people: the values stand in it, quoted so that it could be pasted. `words` are the filled-in `words`.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    display: str
    words: tuple[str, ...] = ()


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
            raise CommandError(
                error.message, error.offset, error.hint, None if isinstance(command.run, str) else index
            ) from None
        filled.extend(found)
        shown.extend(_quote(text) for text in found)
    if not filled:
        raise CommandError("the command is empty: its list has no items", 0, "give it at least one")
    return _checked(RenderedCommand(tuple(filled), tuple(values.env.items()), " ".join(shown), tuple(filled)))


def list_in_text(expression: Expression, word: int | None = None) -> CommandError:
    """What is wrong with a list that stands inside text, or inside quotes."""
    return CommandError(
        f"`${{{{ {expression.text} }}}}` is a list, and can only be a word of its own, outside quotes",
        expression.offset,
        "put spaces around it, or take one item",
        word,
    )


def show_command(command: Command, scope: Mapping[str, object]) -> str:
    """The command for people, as `RenderedCommand.display`; what cannot be filled in (yet) stays as it was typed."""
    if command.mode == "python":
        return str(command.run).strip()
    values = _Values(scope)
    if command.text is not None:
        return values.shown(command.text.pieces, known_only=True).strip()
    words: list[str] = []
    for index, pieces in enumerate(command.arguments):
        if index == command.script:
            words.append(_quote(values.shown(pieces, known_only=True)))
            continue
        try:
            words.extend(map(_quote, values.fill(pieces)))
        except (NotKnownYet, ExpressionError, CommandError):
            words.append("".join(piece if isinstance(piece, str) else piece.typed for piece in pieces))
    return " ".join(words)


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
                    raise list_in_text(expression)
                return [to_text(item, f"item {index} of {shown}") for index, item in enumerate(value)]
            text = to_text(value, shown)
        except ExpressionError as error:
            raise error.moved(expression.offset) from None
        if slot.code and not HARMLESS.issuperset(text):
            raise CommandError(
                f"{shown} is {_quote(text)}, which could be code here",
                expression.offset,
                use_variable(expression, 'os.environ["{}"]'),
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

    def shown(self, pieces: Iterable[str | Slot], *, known_only: bool = False) -> str:
        """The text with its values, for people: quoted so that pasting it would do the same.

        With `known_only` a slot without a value stays as it was typed.
        """
        out: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                out.append(piece)
                continue
            try:
                value = self._value(piece)
            except (NotKnownYet, ExpressionError, CommandError):
                if not known_only:
                    raise
                out.append(piece.typed)
                continue
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
    return text if text and HARMLESS.issuperset(text) else "'" + text.replace("'", "'\"'\"'") + "'"


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
