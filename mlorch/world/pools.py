"""Slots of pools (and of concurrency groups), shared by all that use one state folder: a lock file for each, lent to who holds it.

Nothing here waits, but for a few milliseconds for another command that is just taking slots. They are taken all or none and under
one guard, so two steps that want slots of several pools cannot stand in each other's way.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from mlorch.model.pools import Holder, Shortage
from mlorch.world.layout import encode_name, make_private
from mlorch.world.locks import LockFile
from mlorch.world.machine import boot_id, start_ticks
from mlorch.world.trouble import state_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.spec import Wanted

_GUARD = ".guard"
_GUARD_WAIT = 0.05
_NOTED = 4


class FileSlots:
    """Slots that are held. `descriptors` are lent to the processes that need them."""

    def __init__(self, pools: FilePools, wanted: Wanted, locks: list[LockFile]) -> None:
        self._pools = pools
        self._wanted = wanted
        self._locks = locks
        self.descriptors = tuple(lock.fileno() for lock in locks)

    def release(self) -> None:
        """Give them back; may be called twice. They are free once no process that they were lent to lives either."""
        for lock in self._locks:
            lock.release()
        if self._locks:
            self._locks = []
            self._pools.given_back(self._wanted)


class FilePools:
    """The `Pools` port. `folder` holds a folder for each pool, `sizes` says how many slots each has now."""

    def __init__(self, folder: str, sizes: Mapping[str, int]) -> None:
        self._folder = folder
        self.sizes = dict(sizes)
        self._ours: dict[str, int] = {}
        self._identity: dict[str, object] = {}
        self.changes = 0

    def take(self, wanted: Wanted, run_id: str, note: str) -> FileSlots | Shortage:
        """All the slots, or what there are too few of. Raises `StateError`."""
        for pool, count in wanted:
            if self._ours.get(pool, 0) + count > self.sizes[pool]:
                return Shortage(pool)  # we need not ask: only steps of this command stand in the way
        guard = LockFile(f"{self._folder}/{_GUARD}")
        make_private(self._folder)
        if not guard.acquire(wait=_GUARD_WAIT, note=""):
            return Shortage(wanted[0][0])
        locks: list[LockFile] = []
        try:
            for pool, count in wanted:
                holders = self._take(pool, count, run_id, note, locks)
                if holders is not None:
                    for lock in locks:
                        lock.release()
                    return Shortage(pool, holders)
        except BaseException:
            for lock in locks:
                lock.release()
            raise
        finally:
            guard.release()
        for pool, count in wanted:
            self._ours[pool] = self._ours.get(pool, 0) + count
        return FileSlots(self, wanted, locks)

    def given_back(self, wanted: Wanted) -> None:
        """Slots that this command held are free again."""
        self.changes += 1
        for pool, count in wanted:
            self._ours[pool] -= count

    def _take(self, pool: str, count: int, run_id: str, note: str, taken: list[LockFile]) -> tuple[Holder, ...] | None:
        """Add `count` slots to `taken`. If there are too few: the others who hold them, nobody if it is mostly us."""
        folder = f"{self._folder}/{encode_name(pool)}"
        make_private(folder)
        size = self.sizes[pool]
        # A pool that was made smaller: who took one of the slots that it had before still counts.
        former = [slot for name in self._names(folder) if name.isdecimal() and (slot := int(name)) >= size]
        about = self._about(run_id)
        held = []
        free: list[LockFile] = []
        for slot in (*range(size), *former):
            if len(free) == count and not former:
                break
            lock = LockFile(f"{folder}/{slot}")
            if not lock.acquire(wait=0, note=note, about=about):
                held.append(lock)
            elif slot < size and len(free) < count:
                free.append(lock)
            else:
                lock.release()
        if len(free) == count and len(held) + count <= size:
            taken += free
            return None
        for lock in free:
            lock.release()
        others = len(held) - self._ours.get(pool, 0)
        if others + count <= size:
            return ()
        notes = (_holder(lock.noted()) for lock in held)
        return tuple(islice((note for note in notes if note.pid != os.getpid()), _NOTED)) or (Holder("somebody"),)

    def _about(self, run_id: str) -> dict[str, object]:
        if not self._identity:
            self._identity = {"start_ticks": start_ticks(os.getpid()) or 0, "boot_id": boot_id()}
        return {"run": run_id, **self._identity}

    @staticmethod
    def _names(folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except OSError as error:
            raise state_error(error, folder, "list") from error


def _holder(noted: Mapping[str, object]) -> Holder:
    def number(name: str) -> int:
        value = noted.get(name)
        return value if isinstance(value, int) else 0

    return Holder(
        str(noted.get("note") or "somebody"),
        str(noted.get("run") or ""),
        number("pid"),
        number("start_ticks"),
        str(noted.get("boot_id") or ""),
    )
