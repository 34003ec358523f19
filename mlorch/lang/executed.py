"""What a command executes: the programs and scripts among its words, not the data that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from mlorch.lang.interpreters import SHELLS, code_argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Candidate: TypeAlias = tuple[str, str]
"""(`path`, a path as typed) or (`module`, a dotted Python module)."""

_WRAPPERS = {
    "env": ("-u", "--unset"),
    "exec": ("-a",),
    "command": (),
    "builtin": (),
    "nohup": (),
    "setsid": (),
    "time": ("-f", "-o"),
    "nice": ("-n",),
    "ionice": ("-c", "-n"),
    "stdbuf": ("-i", "-o", "-e"),
    "timeout": ("-s", "-k", "--signal", "--kill-after"),
    "taskset": ("-c",),
    "!": (),
}
"""Commands that execute the rest of their words, with those of their options that take a value."""
_OPERANDS = {"timeout": 1}
"""Operands of a wrapper before the command."""
_RUNNERS = {
    "uv": ("--with", "--python", "-p", "--extra", "--group", "--env-file", "--index", "--package"),
    "poetry": (),
    "pipenv": (),
    "pdm": (),
    "hatch": (),
    "rye": (),
    "coverage": ("--rcfile", "--data-file", "--source", "--include", "--omit"),
    "conda": ("-n", "--name", "-p", "--prefix"),
    "mamba": ("-n", "--name", "-p", "--prefix"),
}
"""Tools whose `run` executes the rest."""
_SCRIPT_OPTIONS = {
    "Rscript": (),
    "perl": ("-I",),
    "ruby": ("-I", "-r"),
    "node": ("-r", "--require", "--import"),
    "julia": ("-L", "-t", "-p"),
    "php": ("-d", "-c"),
    "lua": ("-l",),
    "torchrun": ("--nproc_per_node", "--nproc-per-node", "--nnodes"),
    ".": (),
    "source": (),
}
"""Interpreters, with those of their options that take a value."""
_SHELL_OPTIONS = ("-o", "-O", "+o", "+O", "--rcfile", "--init-file")


def candidates(words: Sequence[str | None]) -> Iterator[Candidate]:
    """What the words of one simple command execute; None stands for a word that is not literal."""
    index, direct = 0, False
    while index < len(words):
        word = words[index]
        if word is None:
            return
        name = word.rsplit("/", 1)[-1]
        if "=" in word and word.split("=", 1)[0].isidentifier():
            index += 1
        elif name in _WRAPPERS:
            index = _after_options(words, index + 1, _WRAPPERS[name]) + _OPERANDS.get(name, 0)
        elif name in _RUNNERS and index + 1 < len(words) and words[index + 1] == "run":
            index, direct = _after_options(words, index + 2, _RUNNERS[name], stop="-m"), True
            if index < len(words) and words[index] == "-m":
                yield from _named("module", words, index + 1)
                return
        else:
            break
    else:
        return
    word = words[index] or ""
    # A bare name is looked up in the PATH, not in the folder.
    if "/" in word or (direct and "." in word):
        yield ("path", word)
    name = word.rsplit("/", 1)[-1]
    if name.rstrip("0123456789.w") in ("python", "pypy"):
        yield from _python(words, index + 1)
    elif name in SHELLS and code_argument(words, index) < 0:
        yield from _named("path", words, _after_options(words, index + 1, _SHELL_OPTIONS))
    elif name in _SCRIPT_OPTIONS and code_argument(words, index) < 0:
        yield from _named("path", words, _after_options(words, index + 1, _SCRIPT_OPTIONS[name]))


def _named(kind: str, words: Sequence[str | None], index: int) -> Iterator[Candidate]:
    """The word at `index`, if it is there and literal."""
    word = words[index] if index < len(words) else None
    if word and not word.startswith("-"):
        yield (kind, word)


def _after_options(words: Sequence[str | None], index: int, valued: Sequence[str], stop: str = "") -> int:
    """The index after the options that begin at `index`."""
    while index < len(words):
        word = words[index]
        if word is None or word in (stop, "-") or word[:1] not in ("-", "+"):
            return index
        index += 1
        if word == "--":
            return index
        if word in valued:
            index += 1
    return index


def _python(words: Sequence[str | None], index: int) -> Iterator[Candidate]:
    while index < len(words):
        word = words[index]
        if word is None or word == "-":
            return
        if not word.startswith("-"):
            yield ("path", word)
            return
        index += 1
        if word == "--":
            yield from _named("path", words, index)
            return
        if word.startswith("--"):
            continue
        for position, letter in enumerate(word[1:], 2):
            if letter == "c":
                return
            if letter == "m":
                yield from (("module", word[position:]),) if word[position:] else _named("module", words, index)
                return
            if letter in "WX":
                index += not word[position:]
                break
