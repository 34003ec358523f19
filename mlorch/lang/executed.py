"""What a command executes: the programs and scripts among its words, not the data that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from mlorch.lang.interpreters import SHELLS, code_argument, hands_to_shell, is_awk

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
    "taskset": (),
    "!": (),
}
"""Commands that execute the rest of their words, with those of their options that take a value."""
_OPERANDS = {"timeout": 1, "taskset": 1}
"""Operands of a wrapper before the command."""
_PASSES_ON = {
    **_WRAPPERS,
    "env": ("-u", "--unset", "-C", "--chdir"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "--class", "--classdata"),
    "stdbuf": ("-i", "-o", "-e", "--input", "--output", "--error"),
    "chrt": ("-T", "-P", "-D", "--sched-runtime", "--sched-period", "--sched-deadline"),
    "flock": ("-w", "--wait", "--timeout", "-E", "--conflict-exit-code"),
    "xargs": ("-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--arg-file", "--delimiter"),
    "numactl": ("-N", "-m", "-i", "-C", "-p", "--cpunodebind", "--membind", "--interleave", "--physcpubind"),
    "strace": ("-e", "-o", "-s", "-a", "-p"),
    "prlimit": (),
    "unbuffer": (),
    "xvfb-run": ("-n", "-s", "-f", "-e", "-p", "-w"),
    "busybox": (),
    "tini": ("-p", "-e"),
    "dumb-init": (),
}
"""The same, of all that start a command with the variables that they were given."""
_PASSES_ON_OPERANDS = {**_OPERANDS, "chrt": 1, "flock": 1}
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
_ELSEWHERE = frozenset(
    {"find", "sudo", "su", "docker", "podman", "ssh", "kubectl", "nsenter", "chroot", "systemd-run", "parallel", "srun"}
)
"""Commands that start another, in surroundings of their own."""
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


def keeps_variables_back(words: Sequence[str | None], stop: int) -> int:
    """The index of the first word before the program `words[stop]` that may start it without the variables; -1 if none does."""
    index = 0
    while index < stop:
        at, word = index, words[index]
        if word is None:
            return at
        name = word.rsplit("/", 1)[-1]
        if "=" in word and word.split("=", 1)[0].isidentifier():
            index += 1
        elif name == "find":
            index = _after_exec(words, index, stop)
        elif name in _PASSES_ON:
            index = _after_options(words, at + 1, _PASSES_ON[name]) + _PASSES_ON_OPERANDS.get(name, 0)
            if name == "env" and ("-" in words[at + 1 : index + 1] or any(map(_takes_away, words[at + 1 : index]))):
                return at
        elif name in _RUNNERS and words[index + 1] == "run":
            index = _after_options(words, index + 2, _RUNNERS[name])
        else:
            return at
        if index > stop:
            return at
    return -1


def starts_program(words: Sequence[str | None], index: int) -> bool:
    """Whether the word at `index` may be a program: it leads, or another program that starts one does.

    For names that are words of other commands, too, as in `which awk`.
    """
    first = (words[0] or "").rsplit("/", 1)[-1]
    return index == 0 or first in _PASSES_ON or first in _RUNNERS or first in _ELSEWHERE


def code_at(words: Sequence[str | None], index: int) -> int:
    """As `code_argument`, but not for names that are only words of another command (`which awk`, `tool script x -c y`)."""
    code = code_argument(words, index)
    if code < 0 or starts_program(words, index) or not (is_awk(words[index]) or hands_to_shell(words[index])):
        return code
    options = [word is not None and word.startswith("-") for word in words[index + 1 : code]]
    return code if hands_to_shell(words[index]) and options and all(options) else -1


def _takes_away(option: str | None) -> bool:
    """Whether an option of `env` leaves variables out that values travel in."""
    return option is not None and (
        option == "--ignore-environment"
        or (option[:1] == "-" and option[1:2] not in ("-", "u", "C", "S") and "i" in option)
        or option.removeprefix("-u").removeprefix("--unset=").startswith("MLORCH_")
    )


def _after_exec(words: Sequence[str | None], index: int, stop: int) -> int:
    """The index after the `-exec` of `find` that comes last before `stop`; after `stop` if there is none."""
    for position in range(stop - 1, index, -1):
        if words[position] in ("-exec", "-execdir", "-ok", "-okdir"):
            return position + 1
    return stop + 1


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
