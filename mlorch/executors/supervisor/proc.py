"""What `/proc` says of processes. A number alone proves nothing: only with its start time does it name a process."""

from __future__ import annotations

import os
import time

_OWN_CHILDREN = "/proc/self/task/{}/children"
_CHUNK = 1 << 16
_PLAUSIBLE_TICKS = 6000
# The kernel fills a page with whole numbers: a piece shorter than this was the last, and saves the call that would say so.
_PAGE_NEARLY_FULL = 4000


def slurp(path: str) -> bytes:
    """The bytes of a small file of `/proc` or `/sys`; b"" when it is gone or may not be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = b""
        while piece := os.read(fd, _CHUNK):
            data += piece
    except OSError:
        return b""
    finally:
        os.close(fd)
    return data


class Stat:
    """The part of `/proc/PID/stat` that matters. `state` is a letter, `start_ticks` counts from boot."""

    __slots__ = ("parent", "pid", "session", "start_ticks", "state")

    def __init__(self, pid: int, text: bytes) -> None:
        # The name in parentheses may itself hold spaces and parentheses: count fields from the last one.
        fields = text[text.rfind(b")") + 2 :].split(None, 20)
        self.pid = pid
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.start_ticks = int(fields[19])

    @property
    def dead(self) -> bool:
        """It has ended, though nobody has waited for it yet."""
        return self.state in "ZXx"


def stat(pid: int) -> Stat | None:
    """What is known of process `pid`; None if there is none."""
    text = slurp(f"/proc/{pid}/stat")
    return Stat(pid, text) if text else None


def start_ticks(pid: int) -> int:
    """When process `pid` started, in clock ticks since boot; 0 if there is none."""
    found = stat(pid)
    return found.start_ticks if found else 0


class Birthdays:
    """When processes that we start began: the `start_ticks` of `/proc`, mostly without reading it.

    A tick is ten milliseconds long. If the clock that the kernel takes it from stood in one tick both before and after the start,
    there is nothing to look up (a look costs a tenth of what the start itself does). The first look checks that this holds here.
    """

    def __init__(self) -> None:
        self._tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        own = start_ticks(os.getpid())
        # Off only where /proc shows another time than the clock does.
        self._trusted = 0 <= self.now() - own < _PLAUSIBLE_TICKS
        self._checked = False

    def now(self) -> int:
        """The tick that it is."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // self._tick_ns

    def of(self, pid: int, before: int) -> int:
        """The start of our child `pid` (not waited for yet), which was started just now, after the tick `before`."""
        if self._checked and self._trusted and self.now() == before:
            return before
        found = start_ticks(pid)
        if not self._checked:
            self._checked = True
            self._trusted = self._trusted and before <= found <= self.now()
        return found


def boot_id() -> str:
    """The identity of this boot of the machine; "" where the system does not tell."""
    return slurp("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def marked(pid: int, marks: list[bytes]) -> bool:
    """Whether process `pid` was started with all of `marks` (`NAME=value`) in its environment. No marks: no."""
    if not marks:
        return False
    environment = b"\0" + slurp(f"/proc/{pid}/environ") + b"\0"
    return all(b"\0" + mark + b"\0" in environment for mark in marks)


def pids() -> list[int]:
    """All processes that there are."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parents() -> dict[int, list[int]]:
    """The children of each process that has any."""
    found: dict[int, list[int]] = {}
    for pid in pids():
        known = stat(pid)
        if known:
            found.setdefault(known.parent, []).append(pid)
    return found


def tree(roots: list[int]) -> list[int]:
    """`roots` and all their descendants, parents first."""
    below = parents()
    found = list(roots)
    for pid in found:  # grows while it is walked
        found.extend(below.get(pid, ()))
    return found


class OwnChildren:
    """The numbers of our children: one system call where the kernel keeps a list, a walk through `/proc` elsewhere."""

    def __init__(self) -> None:
        try:
            self._fd = os.open(_OWN_CHILDREN.format(os.getpid()), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def read(self) -> list[int]:
        """Living children, and ended ones not waited for."""
        if self._fd < 0:
            return parents().get(os.getpid(), [])
        data = b""
        while piece := os.pread(self._fd, _CHUNK, len(data)):
            data += piece
            if len(piece) < _PAGE_NEARLY_FULL:
                break
        return [int(word) for word in data.split()]


def _counter(path: str, word: bytes) -> int | None:
    for line in slurp(path).splitlines():
        if line.startswith(word + b" "):
            return int(line.split()[1])
    return None


def oom_source() -> str:
    """The file that counts processes killed for want of memory: that of our control group, else the machine's."""
    for line in slurp("/proc/self/cgroup").decode("utf-8", "surrogateescape").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            path = f"/sys/fs/cgroup{group}/memory.events"
        elif "memory" in controllers.split(","):
            path = f"/sys/fs/cgroup/memory{group}/memory.oom_control"
        else:
            continue
        if _counter(path, b"oom_kill") is not None:
            return path
    return "/proc/vmstat"


def oom_kills(path: str) -> int:
    """How many processes were killed for want of memory so far, by the file that `oom_source` named; 0 if it is gone."""
    return _counter(path, b"oom_kill") or 0
