"""Commands that read an argument as code: there a value may not stand, however well it is quoted."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from mlorch.lang.executed import code_at, starts_program
from mlorch.lang.interpreters import (
    EVALUATED,
    RUN_BY_SHELLS,
    is_awk,
    only_paths,
    shell_argument,
)
from mlorch.lang.words import CommandError, Slot, in_awk, known_start, use_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.lang.shellwords import Word

_READS_CODE = frozenset(
    {"eval", "let", "trap", "unset", "read", "mapfile", "readarray", "alias", "complete", "compgen", "bind", "getopts"}
)
_DECLARES = frozenset({"declare", "typeset", "local", "export", "readonly"})
_PREFIXES = frozenset({"command", "builtin", "exec", "nohup", "sudo", "time", "nice", "env"})
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=", re.ASCII)
_NUMERIC = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"})
_BINARY = _NUMERIC - {"-v", "-R"} | {"=", "==", "!=", "<", ">", "=~", "-nt", "-ot", "-ef"}

_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_OTHER_NAME = "give the variable another name"


def check_command(command: Sequence[Word], *, any_slots: bool) -> None:
    """Hold one simple command against the rules. Raises `CommandError`."""
    start = _start(command)
    first = command[start].literal or ""
    rest = command[start + 1 :]
    if first in _DECLARES:
        _check_declaration(first, rest, any_slots=any_slots)
    if any_slots:
        _check_hidden(first, rest, command[start].offset)
    for word in command[:start] if first not in _DECLARES else rest:
        check_assigned(word)
    if not any(word.slots for word in rest):
        return
    if first in _READS_CODE:
        _refuse(rest, f"`{first}` would read it as code")
    elif first == "[[":
        if any(word.literal in _NUMERIC for word in rest):
            _refuse(rest, "`[[` evaluates what it compares as numbers", "use `[ … ]`, which does not")
    elif first in ("[", "test"):
        _check_test(rest)
    elif first == "printf":
        for before, word in pairwise(rest):
            if before.literal == "-v":
                _refuse((word,), "`printf -v` would read it as code")
    else:
        _check_program(command, start)


def _start(command: Sequence[Word]) -> int:
    """The index of the first word that does not only say how the rest is started."""
    start = 0
    while start < len(command) - 1 and (
        command[start].literal in _PREFIXES
        or (start and command[start].prefix.startswith("-"))
        or _is_set(command, start)
    ):
        start += 1
    return start


def check_assigned(word: Word) -> None:
    """Refuse `NAME=value` with a value where the shell executes or evaluates what NAME holds."""
    name = word.prefix.split("=", 1)[0].split("[", 1)[0].rstrip("+")
    if not word.slots or "=" not in word.prefix:
        return
    if name in RUN_BY_SHELLS:
        raise CommandError(f"the shell runs what `{name}` holds", word.offset, "write a fixed text")
    if name in EVALUATED:
        raise CommandError(f"`{name}` is a number to the shell, which evaluates values", word.offset, _OTHER_NAME)


def _check_hidden(first: str, rest: Sequence[Word], offset: int) -> None:
    """Where values come in unseen: from the standard input, or word by word in a loop."""
    names = [word.literal or "" for word in rest]
    if first in (".", "source") and names and names[0].startswith(_STREAMS):
        raise CommandError(
            f"`{first} {names[0]}` makes the shell run what it reads", offset, "put it into a script of its own"
        )
    read = names if first == "read" else names[:1] if first in ("for", "select") else ()
    if first == "printf" and names[:1] == ["-v"]:
        read = names[1:2]
    for name in read:
        if name.split("[", 1)[0] in EVALUATED:
            raise CommandError(f"`{name}` is a number to the shell, which evaluates values", offset, _OTHER_NAME)


def _is_set(command: Sequence[Word], index: int) -> bool:
    """`X=1` among the words of `env`."""
    return index > 0 and bool(_ASSIGNED.match(command[index].prefix))


def _refuse(words: Sequence[Word], why: str, hint: str = "") -> None:
    for word in words:
        for slot in word.slots:
            expression = slot.expression
            raise CommandError(
                f"`${{{{ {expression.text} }}}}`: {why}",
                expression.offset,
                hint or f"{use_variable(expression)} inside single quotes, so that only its name is code",
            )


def _check_declaration(first: str, rest: Sequence[Word], *, any_slots: bool) -> None:
    options = "".join(word.prefix[1:] for word in rest if word.prefix[:1] in ("-", "+") and "=" not in word.prefix)
    if any_slots and set(options) & set("iaAn"):
        offset = next((slot.expression.offset for word in rest for slot in word.slots), rest[0].offset)
        raise CommandError(
            f"`{first} -{options}` makes the shell evaluate values", offset, "put it into a script of its own"
        )
    for word in rest:
        if word.slots and not _ASSIGNED.fullmatch(word.prefix.split("=", 1)[0] + "=" if "=" in word.prefix else ""):
            _refuse((word,), f"`{first}` would read it as a name", f"write `{first} NAME=${{{{ … }}}}`")


def _check_test(rest: Sequence[Word]) -> None:
    """In `[ … ]` a value must not be taken for an operator: `-v` would evaluate what comes after it."""
    for index, word in enumerate(rest):
        if not word.slots:
            continue
        for slot in word.slots:
            slot.alone = False
        before = rest[index - 1].literal if index else None
        after = rest[index + 1] if index + 1 < len(rest) else None
        if before in ("-v", "-R"):
            _refuse((word,), "`-v` evaluates an index in it")
        leads = isinstance(word.pieces[0], Slot)
        if leads and after is not None and after.literal not in _BINARY and after.literal not in ("]", ")", "-a", "-o"):
            _refuse((word,), "the test could take it for an operator", "write `[ -n … ]` or compare it with `=`")


def _check_program(command: Sequence[Word], start: int) -> None:
    """Hold the code arguments of all interpreters among the words against the rule."""
    command = command[start:]
    words = [known_start(word.pieces) for word in command]
    for position in range(len(words)):
        if command[position].literal is None:
            index = shell_argument(words, position) if _may_be_shell(command[position], words, position) else -1
        else:
            index = code_at(words, position)
        if index >= 0:
            _check_code(command[index], command[position].literal)


def _may_be_shell(word: Word, words: Sequence[str | None], position: int) -> bool:
    """A program that only a variable names (`$SHELL -c …`): it may be a shell."""
    return not word.slots and starts_program(words, position)


def _check_code(code: Word, program: str | None) -> None:
    for slot in code.slots:
        if not only_paths(slot):
            hint = in_awk(slot.expression) if is_awk(program) else ""
            shown = "a program that a variable names" if program is None else f"`{program}`"
            _refuse((code,), f"{shown} would read it as code", hint)
        slot.code = True
