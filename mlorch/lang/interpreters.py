"""Programs that take code as an argument: `bash -c …`, `python -c …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.lang.words import Slot

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
_PROGRAM_OPTIONS = {
    "python": "c",
    "pypy": "c",
    "perl": "eE",
    "ruby": "e",
    "node": "ep",
    "Rscript": "e",
    "php": "r",
    "lua": "e",
    "julia": "eE",
    "su": "c",
    "runuser": "c",
    "script": "c",
}
_PATHS = frozenset({"outputs", "inputs", "roots"})


def program_option(program: str) -> str:
    """The letters of the options after which `program` takes code; "" for none. Shells: `c`."""
    name = program.rsplit("/", 1)[-1]
    if name in SHELLS:
        return "c"
    return _PROGRAM_OPTIONS.get(name.rstrip("0123456789."), "")


def code_argument(words: Sequence[str | None], start: int) -> int:
    """The index of the word that the interpreter `words[start]` takes as code (`bash -c THIS`); -1 if there is none."""
    letters = program_option(words[start] or "")
    if not letters:
        return -1
    index = start + 1
    while index < len(words):
        word = words[index]
        if word is None or not word.startswith("-") or word in ("-", "--"):
            return -1
        flags = word[1:]
        if not word.startswith("--") and flags[-1:] and flags[-1] in letters and flags.isalpha():
            return index + 1 if index + 1 < len(words) else -1
        index += 2 if word in ("-W", "-X", "-o", "-O", "-I") else 1
    return -1


def only_paths(slot: Slot) -> bool:
    """Whether a slot is the plain path of an input, output or root, which may stand in code if its value is harmless."""
    path = slot.expression.plain
    return bool(path) and (path[0] in _PATHS or (path[0] == "steps" and len(path) == 4 and path[2] == "outputs"))
