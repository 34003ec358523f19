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
    "flock": "c",
}
_FOR_SHELLS = frozenset({"su", "runuser", "script", "flock"})
"""Programs that hand their code to a shell."""
_AWKS = frozenset({"awk", "gawk", "mawk", "nawk"})
_AWK_VALUED = frozenset({"-F", "-v", "-f", "-i", "-l", "-E", "-W", "--field-separator", "--assign", "--file", "--exec"})
_FLOCK_VALUED = frozenset({"-w", "--wait", "--timeout", "-E", "--conflict-exit-code"})
_PATHS = frozenset({"outputs", "inputs", "roots"})


def program_option(program: str) -> str:
    """The letters of the options after which `program` takes code; "" for none. Shells: `c`."""
    name = _name(program)
    if name in SHELLS:
        return "c"
    return _PROGRAM_OPTIONS.get(name.rstrip("0123456789."), "")


def is_shell(program: str | None) -> bool:
    """Whether `program` is a shell, with or without its folder."""
    return _name(program or "") in SHELLS


def is_awk(program: str | None) -> bool:
    """Whether `program` is an awk, whose first argument is a program."""
    return _name(program or "") in _AWKS


def hands_to_shell(program: str | None) -> bool:
    """Whether `program` is no shell itself, and gives the code that it takes to one."""
    return _name(program or "") in _FOR_SHELLS


def code_argument(words: Sequence[str | None], start: int) -> int:
    """The index of the word that the interpreter `words[start]` takes as code (`bash -c THIS`); -1 if there is none.

    A word with a value in it is None, or what is known of it as `words.known_start` says.
    """
    program = words[start] or ""
    if is_shell(program):
        return shell_argument(words, start)
    if is_awk(program):
        return _awk_argument(words, start)
    if _name(program) == "flock":
        return _flock_argument(words, start)
    if _name(program) in _FOR_SHELLS:
        return _command_argument(words, start)
    letters = program_option(program)
    if not letters:
        return -1
    index = start + 1
    while index < len(words):
        word = words[index]
        if word is None or not word.startswith("-") or word in ("-", "--"):
            return -1
        flags = word[1:]
        if "\0" in flags and flags[0] in letters:
            return index
        if not word.startswith("--") and flags[-1:] and flags[-1] in letters and flags.isalpha():
            return _there(words, index + 1)
        index += 2 if word in ("-W", "-X", "-o", "-O", "-I") else 1
    return -1


def shell_argument(words: Sequence[str | None], start: int) -> int:
    """As `code_argument`, for a word that is taken for a shell whatever its name is.

    Options may follow `-c`, and one that ends in `o` takes a word, so the code is the first word after all of them.
    """
    index, asked = start + 1, False
    while index < len(words):
        word = words[index]
        if word is None or word[:1] not in ("-", "+"):
            break
        index += 1
        if word in ("-", "--"):
            break
        if word.startswith("--"):
            index += word in ("--rcfile", "--init-file")
            continue
        asked = asked or "c" in word
        index += word.count("o") + word.count("O")
    return _there(words, index) if asked else -1


def _name(program: str) -> str:
    return program.rsplit("/", 1)[-1]


def _there(words: Sequence[str | None], index: int) -> int:
    return index if index < len(words) else -1


def _awk_argument(words: Sequence[str | None], start: int) -> int:
    """After `-e` or `--source`, else the first word that is no option; with `-f` the program is in a file."""
    index, in_file = start + 1, False
    while index < len(words):
        word = words[index]
        if word is None or not word.startswith("-") or word == "-":
            break
        index += 1
        if word == "--":
            break
        if word in ("-e", "--source"):
            return _there(words, index)
        if "\0" in word and word.startswith(("-e", "--source=")):
            return index - 1
        in_file = in_file or word.startswith(("-f", "--file", "-E", "--exec"))
        index += word in _AWK_VALUED
    return -1 if in_file else _there(words, index)


def _flock_argument(words: Sequence[str | None], start: int) -> int:
    """`flock FILE -c THIS`; what else comes after the file is a program with its arguments."""
    index = start + 1
    while index < len(words):
        word = words[index]
        if word is None or not word.startswith("-"):
            break
        index += 2 if word in _FLOCK_VALUED else 1
    if index + 1 < len(words) and words[index + 1] in ("-c", "--command"):
        return _there(words, index + 2)
    return -1


def _command_argument(words: Sequence[str | None], start: int) -> int:
    """`su USER -c THIS`: the option may come after other words, but not after `--`."""
    for index in range(start + 1, len(words)):
        word = words[index]
        if word == "--":
            return -1
        if word is None or not word.startswith("-"):
            continue
        if "\0" in word and word.startswith(("-c", "--command=", "--session-command=")):
            return index
        if word in ("--command", "--session-command") or (word[1:].isalpha() and word.endswith("c")):
            return _there(words, index + 1)
    return -1


def only_paths(slot: Slot) -> bool:
    """Whether a slot is the plain path of an input, output or root, which may stand in code if its value is harmless."""
    path = slot.expression.plain
    return bool(path) and (path[0] in _PATHS or (path[0] == "steps" and len(path) == 4 and path[2] == "outputs"))


RUN_BY_SHELLS = frozenset({"BASH_ENV", "ENV", "PS0", "PS1", "PS4", "PROMPT_COMMAND"})
"""Variables whose value a shell executes, or expands as if it were text of its own."""
EVALUATED = frozenset(
    {
        "BASHPID",
        "BASH_SUBSHELL",
        "EPOCHREALTIME",
        "EPOCHSECONDS",
        "HISTCMD",
        "LINENO",
        "OPTIND",
        "RANDOM",
        "SECONDS",
        "SRANDOM",
    }
)
"""Variables that are numbers to a shell: what they are given is evaluated, and an index in it executed."""
