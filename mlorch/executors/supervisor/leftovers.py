"""Finds what a step left running after its command ended: background jobs, daemons, children that changed their session.

We are the subreaper, so whatever loses its parent becomes our child. A child that we did not start is therefore somebody's
leftover; everything below it is too. Whose it is, its session or the mark in its environment says. If neither does (a daemon
that cleared its environment), it is nobody's: it may stay until every step has ended that could have left it.
"""

from __future__ import annotations

import os

from mlorch.executors.supervisor import proc
from mlorch.executors.supervisor.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.executors.supervisor.attempt import Attempt

_ROUND = 0.05
"""Seconds between two looks at processes that do not want to end."""
_UNOWNED_GRACE = 2.0
HOPELESS = 5.0
"""Seconds after the first KILL when what still lives will not end: it belongs to another user, or hangs in the kernel."""


class Orphan:
    """A child that we did not start. `owner` may be an attempt that still runs, or None; then `suspects` says who it could be."""

    __slots__ = ("kill_at", "owner", "suspects")

    def __init__(self, owner: Attempt | None, suspects: set[str]) -> None:
        self.owner = owner
        self.suspects = suspects
        self.kill_at = 0.0


class Leftovers:
    """All orphans, by process id: as we are their parent, a number stays theirs until we have waited for it."""

    def __init__(self) -> None:
        self._children = proc.OwnChildren()
        self._orphans: dict[int, Orphan] = {}
        self._hopeless: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._orphans)

    def gone(self, pid: int) -> None:
        """Process `pid` was waited for."""
        self._orphans.pop(pid, None)
        self._hopeless.discard(pid)

    def all_gone(self) -> None:
        """There is no child at all."""
        self._orphans.clear()
        self._hopeless.clear()

    def census(self, started: Iterable[int], attempts: Iterable[Attempt]) -> None:
        """Take in the orphans that are new. `started` are the processes that we started ourselves and not yet waited for."""
        fresh = set(self._children.read()).difference(started, self._orphans, self._hopeless)
        for pid in fresh:
            known = proc.stat(pid)
            if known is None or known.dead:
                continue
            owner = _owner(known, attempts)
            self._orphans[pid] = Orphan(owner, set() if owner else {attempt.token for attempt in attempts})

    def of(self, attempt: Attempt) -> list[int]:
        """Orphans that `attempt` left."""
        return [pid for pid, orphan in self._orphans.items() if orphan.owner is attempt]

    def end(self, attempt: Attempt, number: int) -> None:
        """Signal all that `attempt` left, and what is below it. A group that was told to end is not told again."""
        for pid in proc.tree(self.of(attempt)):
            if number != signal.SIGTERM or not attempt.termed_group or _group(pid) != attempt.pid:
                _send(pid, number)

    def give_up(self, attempt: Attempt) -> None:
        """Nothing ends what `attempt` left: it counts no longer, so that the run can."""
        self._drop(self.of(attempt))

    def _drop(self, pids: Iterable[int]) -> None:
        for pid in pids:
            del self._orphans[pid]
            self._hopeless.add(pid)

    def end_unowned(self, present: set[str], now: float) -> float:
        """End orphans of nobody whose suspects are all gone; returns when to call again (in monotonic time)."""
        again = float("inf")
        hopeless = []
        for pid, orphan in self._orphans.items():
            if orphan.owner is not None and orphan.owner.token in present:
                continue
            orphan.suspects &= present
            if orphan.suspects:
                continue
            if not orphan.kill_at:
                orphan.kill_at = now + _UNOWNED_GRACE
                _end_tree(pid, signal.SIGTERM)
            elif now >= orphan.kill_at + HOPELESS:
                hopeless.append(pid)
                continue
            elif now >= orphan.kill_at:
                _end_tree(pid, signal.SIGKILL)
            again = min(again, max(orphan.kill_at, now + _ROUND))
        self._drop(hopeless)
        return again


def _owner(known: proc.Stat, attempts: Iterable[Attempt]) -> Attempt | None:
    for attempt in attempts:
        if attempt.pid and known.session == attempt.pid:
            return attempt
    for attempt in attempts:
        if proc.marked(known.pid, attempt.marks):
            return attempt
    return None


def _end_tree(pid: int, number: int) -> None:
    for one in proc.tree([pid]):
        _send(one, number)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
        if number == signal.SIGTERM:
            os.kill(pid, signal.SIGCONT)  # a stopped process would never see it
    except (ProcessLookupError, PermissionError):
        return
