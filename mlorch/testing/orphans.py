"""A fake of the `Orphans` port: what is put into it lives, until it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlorch.model.attempt import Orphan
    from mlorch.model.history import RunRecord


class ScriptedOrphans:
    """`living` are the orphans of each run id; `present` the runs whose mlorch lives; `ended` the run ids that were ended."""

    def __init__(self) -> None:
        self.living: dict[str, tuple[Orphan, ...]] = {}
        self.present: set[str] = set()
        self.ended: list[str] = []

    def deserted(self, run: RunRecord) -> bool:
        """As `Orphans.deserted`."""
        return run.run_id not in self.present

    def find(self, run: RunRecord) -> tuple[Orphan, ...]:
        """As `Orphans.find`."""
        return self.living.get(run.run_id, ()) if self.deserted(run) else ()

    def end(self, run: RunRecord, grace: float, *, watched_too: bool = False) -> None:  # noqa: ARG002 - the port's
        """As `Orphans.end`; at once."""
        kept = tuple(orphan for orphan in self.find(run) if orphan.watched and not watched_too)
        self.ended.append(run.run_id)
        self.living[run.run_id] = kept
