"""Times of commands: interleaved, so that what else the machine does falls on all of them, and medians."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Contender:
    """A command, where it runs, and what is done before each repetition (outside of the time)."""

    name: str
    command: tuple[str, ...]
    folder: str
    before: Callable[[], None] | None = None


@dataclass(slots=True)
class Times:
    """One entry a repetition: seconds on the clock and of CPU (its children included), and the most memory, in bytes."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the time on the clock, in seconds."""
        return statistics.median(self.wall)


def interleave(contenders: Sequence[Contender], repetitions: int, env: Mapping[str, str]) -> dict[str, Times]:
    """Run each of them in turn, so many times; one more turn first, whose times do not count. Raises `SystemExit` if one fails."""
    times = {contender.name: Times() for contender in contenders}
    for turn in range(-1, repetitions):
        for contender in contenders:
            if contender.before is not None:
                contender.before()
            os.sync()  # what the one before left to be written is none of this one's work
            wall, cpu, memory = _once(contender, env)
            if turn >= 0:
                found = times[contender.name]
                found.wall.append(wall)
                found.cpu.append(cpu)
                found.memory.append(memory)
    return times


def measured(contender: Contender, env: Mapping[str, str]) -> Times:
    """Run one of them once, and count that turn: what is slow only the first time. Raises `SystemExit` if it fails."""
    wall, cpu, memory = _once(contender, env)
    return Times([wall], [cpu], [memory])


def _once(contender: Contender, env: Mapping[str, str]) -> tuple[float, float, int]:
    # A small process of its own would be fairer to the memory of tiny commands; the rows about memory are about hundreds of MB.
    output = os.path.join(contender.folder, ".output")
    started = time.perf_counter()
    pid = os.fork()
    if not pid:
        _become(contender, env, output)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    if status:
        with open(output, encoding="utf-8", errors="replace") as file:
            text = file.read()[-2000:]
        code = os.waitstatus_to_exitcode(status)
        raise SystemExit(
            f"{text}\n{contender.name} ended with {code}: {' '.join(contender.command)} in {contender.folder}"
        )
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def _become(contender: Contender, env: Mapping[str, str], output: str) -> None:
    try:
        os.chdir(contender.folder)
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.execve(contender.command[0], contender.command, dict(env))  # noqa: S606 - a shell would be measured too
    finally:
        os._exit(127)
