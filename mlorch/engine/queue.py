"""Which steps of a run are ready: kept up to date by each end, at the cost of the step's own edges."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.engine.graph import Graph


class ReadyQueue:
    """Steps in the order in which they may start: all needs ended, the longest way to an end first, then file order."""

    def __init__(self, graph: Graph, selected: frozenset[str], priorities: Mapping[str, float]) -> None:
        self._readers = {step: [r for r in graph.readers[step] if r in selected] for step in selected}
        self._waiting = {step: sum(need in selected for need in graph.needs[step]) for step in selected}
        order = [step for step in graph.order if step in selected]
        self._rank = {step: (-priorities.get(step, 0.0), index) for index, step in enumerate(order)}
        self._ready = [(self._rank[step], step) for step in order if not self._waiting[step]]
        heapq.heapify(self._ready)
        self.left = len(order)

    def __len__(self) -> int:
        """How many steps are ready."""
        return len(self._ready)

    def first(self) -> str:
        """The step that `pop` would take. Raises `IndexError` when none is ready."""
        return self._ready[0][1]

    def pop(self) -> str:
        """The next ready step. Raises `IndexError` when none is."""
        return heapq.heappop(self._ready)[1]

    def push(self, step: str) -> None:
        """A step that was taken is ready again (another attempt)."""
        heapq.heappush(self._ready, (self._rank[step], step))

    def ended(self, step: str) -> None:
        """A step ended, however; those that waited for it alone become ready."""
        self.left -= 1
        for reader in self._readers[step]:
            self._waiting[reader] -= 1
            if not self._waiting[reader]:
                heapq.heappush(self._ready, (self._rank[reader], reader))

    def drain(self) -> list[str]:
        """Take every step that is ready."""
        steps = [step for _, step in sorted(self._ready)]
        self._ready.clear()
        return steps
