"""Pools in memory, which several pretended commands can share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.pools import Holder, Shortage

if TYPE_CHECKING:
    from mlorch.model.spec import Wanted


class MemorySlots:
    """Slots of a `MemoryPools` that are held."""

    def __init__(self, pools: MemoryPools, wanted: Wanted, holder: Holder) -> None:
        self._pools = pools
        self._wanted = wanted
        self._holder = holder
        self._held = True
        self.descriptors = tuple(2000 + number for number in range(sum(count for _, count in wanted)))

    def release(self) -> None:
        """Give them back; may be called twice."""
        if self._held:
            self._held = False
            self._pools.given_back(self._wanted, self._holder)


class MemoryPools:
    """The `Pools` port in memory. `held` is the machine's: (pool, holder, command) for each slot; share it between commands."""

    def __init__(self, sizes: dict[str, int], held: list[tuple[str, Holder, object]] | None = None) -> None:
        self.sizes = sizes
        self.held = [] if held is None else held
        self.most: dict[str, int] = {}
        self.changes = 0

    def take(self, wanted: Wanted, run_id: str, note: str) -> MemorySlots | Shortage:
        """All the slots, or what there are too few of. Raises `KeyError` for a pool that is not there."""
        for pool, count in wanted:
            others = [holder for name, holder, command in self.held if name == pool and command is not self]
            ours = sum(name == pool and command is self for name, _, command in self.held)
            if len(others) + ours + count > self.sizes[pool]:
                return Shortage(pool, tuple(others) if len(others) + count > self.sizes[pool] else ())
        holder = Holder(note, run_id)
        for pool, count in wanted:
            self.held += [(pool, holder, self)] * count
            now = sum(name == pool for name, _, _ in self.held)
            self.most[pool] = max(self.most.get(pool, 0), now)
        return MemorySlots(self, wanted, holder)

    def given_back(self, wanted: Wanted, holder: Holder) -> None:
        """Slots of this command are free again."""
        self.changes += 1
        for pool, count in wanted:
            for _ in range(count):
                self.held.remove((pool, holder, self))
