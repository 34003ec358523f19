"""What a session hands back to the commands, and what watches it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlorch.model.ports import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.history import RunRecord
    from mlorch.model.status import BackfillRow


class Outcome(NamedTuple):
    """How `run` ended. `runs` in the order they were wanted; one without an id is a partition where nothing was to be done."""

    exit_code: int
    runs: tuple[RunRecord, ...] = ()
    notes: tuple[str, ...] = ()


class BackfillOutcome(NamedTuple):
    """How `backfill` ended: every partition of the range, and the runs there were. `stale` windows were left alone.

    `upstream` are partitions outside the range that had to run for it.
    """

    exit_code: int
    rows: tuple[BackfillRow, ...] = ()
    runs: tuple[RunRecord, ...] = ()
    notes: tuple[str, ...] = ()
    stale: int = 0
    upstream: tuple[BackfillRow, ...] = ()


class BackfillObserver(Observer, Protocol):
    """An observer that is first told what the backfill is about to do."""

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """The decision for each partition, before the first run. False: start nothing."""
        ...
