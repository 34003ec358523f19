"""Commands: text or an argv list becomes what is started, and a value in it never becomes code.

In an argv list a value fills one argument. In a shell text it travels as an environment variable, and the text gets a
quoted reference to it, right for the quotes that it stands in. A text that needs no shell is split into words first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlorch.lang.executed import Candidate, candidates, code_at, keeps_variables_back
from mlorch.lang.expressions import Expression, ExpressionError, has_expression, parts
from mlorch.lang.interpreters import RUN_BY_SHELLS, code_argument, hands_to_shell, is_awk, is_shell, only_paths
from mlorch.lang.rendering import Command, Mode, RenderedCommand, list_in_text, render_command, show_command
from mlorch.lang.words import HARMLESS, CommandError, Pieces, Slot, Where, in_awk, known_start, use_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlorch.lang.shellwords import ShellText

__all__ = [
    "Command",
    "CommandError",
    "RenderedCommand",
    "executed",
    "list_in_text",
    "parse_command",
    "render_command",
    "show_command",
]


_SIMPLE = HARMLESS | {" "}
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
    return code_argument(words, start) if is_shell(words[start]) else -1


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
        literals = [known_start(pieces) for pieces in arguments]
        _refuse_variables(run, arguments, literals)
        for start, literal in enumerate(literals):
            index = code_at(literals, start) if literal else -1
            if index < 0 or not any(isinstance(piece, Slot) for piece in arguments[index]):
                continue
            if is_shell(literal) and script < 0 and keeps_variables_back(literals, start) < 0:
                script = index
                read = _nested(run, index, arguments[index])
                arguments = (*arguments[:index], read.pieces, *arguments[index + 1 :])
            else:
                _check_code(run, index, arguments[index], literals, start)
    words = tuple(_template(pieces) for pieces in arguments)
    return _command(run, "argv", slots=slots, words=words, arguments=arguments, script=script)


def _refuse_variables(
    run: str | tuple[str, ...], arguments: tuple[Pieces, ...], literals: Sequence[str | None]
) -> None:
    """Values for variables that a shell executes, in the assignments of `env`."""
    assigns = False
    for index, (pieces, literal) in enumerate(zip(arguments, literals, strict=True)):
        name, equals, _ = (literal or "").partition("=")
        if not equals and not name.startswith("-"):
            # The name of a variable to be left out (`env -u NAME`) goes between, a command ends them.
            assigns = name.rsplit("/", 1)[-1] == "env" or (assigns and literals[index - 1] in ("-u", "--unset"))
        slot = next((piece for piece in pieces if isinstance(piece, Slot)), None)
        if assigns and slot is not None and name in RUN_BY_SHELLS:
            message = f"`{slot.typed}`: a shell runs what `{name}` holds"
            raise CommandError(message, slot.expression.offset, "write a fixed text", _word(run, index))


def _nested(run: str | tuple[str, ...], index: int, pieces: Pieces) -> ShellText:
    """The text given to a shell as an argument, with its values as references."""
    try:
        return _read_shell(_template(pieces))
    except CommandError as error:
        raise CommandError(error.message, error.offset, error.hint, _word(run, index)) from None


def _check_code(
    run: str | tuple[str, ...], index: int, pieces: Pieces, literals: Sequence[str | None], start: int
) -> None:
    program, outer = literals[start] or "", keeps_variables_back(literals, start)
    for piece in pieces:
        if not isinstance(piece, Slot):
            continue
        if not only_paths(piece):
            message, hint = f"`{program}` would read it as code", _instead(program, piece.expression)
            if outer >= 0 and is_shell(program):
                starter = literals[outer]
                fixed = starter is not None and "\0" not in starter
                started = f"`{starter}`, which starts that," if fixed else "what starts that"
                message = f"it would be code for `{program}`, and {started} may not hand variables on"
                hint = _handed_over(program, piece, literals)
            raise CommandError(f"`{piece.typed}`: {message}", piece.expression.offset, hint, _word(run, index))
        piece.code = True


def _handed_over(program: str, slot: Slot, literals: Sequence[str | None]) -> str:
    """The advice for a shell to which no variables get."""
    if any(word is not None and word.rsplit("/", 1)[-1] == "ssh" for word in literals):
        # What ssh is given becomes one text, which the shell over there reads: no argument is safe.
        return "write it to a file, and read that over there"
    return f"hand it over as an argument: `{program} -c '… \"$1\"' {program} {slot.typed}`"


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


def _instead(program: str, expression: Expression) -> str:
    if is_awk(program):
        return in_awk(expression)
    if is_shell(program) or hands_to_shell(program):
        variable = use_variable(expression, '"${}"')
        return f"{variable}, so that only its name is code"
    return f"{_in_python(expression)}, or pass it as an argument after the program's text"


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
