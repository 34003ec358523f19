"""Many partitions of one pipeline: a decision for each, then those that are wanted, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlorch.cli.contract import BackfillOutcome
from mlorch.engine.outcome import worst
from mlorch.engine.plan import durations_of
from mlorch.model.status import BackfillRow, PartitionHealth
from mlorch.session.driving import DriveOptions
from mlorch.session.selection import select_pipelines

if TYPE_CHECKING:
    from mlorch.cli.contract import BackfillObserver
    from mlorch.cli.options import BackfillOptions
    from mlorch.runner.loop import Outcome
    from mlorch.session.jobs import Selected
    from mlorch.session.session import Session


class Backfill:
    """One `mlorch backfill`."""

    def __init__(self, session: Session, options: BackfillOptions) -> None:
        self._session = session
        self._options = options
        self._pipeline = select_pipelines(session.workspace, (options.pipeline,))[0]

    def run(self, observer: BackfillObserver) -> BackfillOutcome:
        """Decide, tell, run, tell again. A stopped one goes on when it is called again: what is done is not missing."""
        session, options = self._session, self._options
        selected = session.select(self._pipeline, options)
        keys = session.backfill_keys(self._pipeline, options)
        rows = [self._decide(selected, key) for key in keys]
        stale = sum(row.state == PartitionHealth.STALE and row.action == "skip" for row in rows)
        if not observer.planned(rows) or options.dry_run:
            session.workspace.files.save()
            return BackfillOutcome(0, tuple(rows), stale=stale)
        chosen = [row.key for row in rows if row.action == "run"]
        if options.newest_first:
            chosen.reverse()
        if not chosen:
            session.workspace.files.save()
            return BackfillOutcome(0, tuple(rows), stale=stale)
        jobs = session.backfill_jobs(selected, chosen, with_upstream=options.with_upstream)
        outcomes = session.drive(jobs, DriveOptions(options.jobs, max_failures=options.max_failures), observer)
        by_key = {(o.run.pipeline, o.run.partition): o for o in outcomes}
        rows = [self._after(row, by_key.get((self._pipeline.name, row.key))) for row in rows]
        code = worst(outcome.exit_code for outcome in outcomes)
        return BackfillOutcome(code, tuple(rows), tuple(o.run for o in outcomes if o.run.run_id), stale=stale)

    def _decide(self, selected: Selected, key: str) -> BackfillRow:
        health, reason = self._session.standing(selected, key)
        if health is PartitionHealth.DONE and self._options.with_upstream:
            health, reason = self._session.standing_upstream(selected, key)
        only = self._options.only
        wanted = "all" in only or health.value in only or health is PartitionHealth.RUNNING
        if health is PartitionHealth.DONE:
            action = "run" if "all" in only else "reuse"
        else:
            action = "run" if wanted else "skip"
        durations = durations_of(self._session.workspace.state(self._pipeline.name, key))
        return BackfillRow(
            key,
            action,
            health.value,
            reason,
            pipeline=self._pipeline.name,
            expected_s=sum(durations.values()) if durations else None,
        )

    @staticmethod
    def _after(row: BackfillRow, outcome: Outcome | None) -> BackfillRow:
        if outcome is None:
            return row
        run = outcome.run
        return replace(row, state=run.state.value, reason=run.reason or row.reason, run_id=run.run_id or None)
