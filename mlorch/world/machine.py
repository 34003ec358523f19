"""Who we are on this machine: boot, processes, CPUs. A process id alone proves nothing; with its start time it does."""

from __future__ import annotations

import os


def boot_id() -> str:
    """The identity of this boot of the machine, "" where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _fields(pid: int) -> list[bytes]:
    """The fields of `/proc/PID/stat` after the name: state first, start in the twentieth. Empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return []
    # The name in parentheses may itself hold spaces and parentheses: count from the last one (fields 3 and 22 of proc(5)).
    fields = text[text.rfind(b")") + 2 :].split()
    return fields if len(fields) > 19 else []


def start_ticks(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if there is none (a zombie still counts)."""
    fields = _fields(pid)
    return int(fields[19]) if fields else None


def same_process(pid: int, ticks: int, boot: str) -> bool:
    """Whether the process recorded as (`pid`, `ticks`, `boot`) still lives: no stranger with its number, and no zombie."""
    if pid <= 0 or boot != boot_id():
        return False
    fields = _fields(pid)
    return bool(fields) and int(fields[19]) == ticks and fields[0] not in (b"Z", b"X")


def cpus() -> int:
    """How many CPUs we may use (affinity and the cgroup's quota counted), at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        count = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(count, quota) if quota else count)


def _cgroup_quota() -> int:
    """The CPUs that the control group grants, rounded up; 0 when it sets no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return 0 if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return 0


def host() -> str:
    """The machine's name, for messages."""
    return os.uname().nodename
