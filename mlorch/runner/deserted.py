"""Runs whose mlorch is gone: their steps may live, and hold what a run needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.states import RunState
from mlorch.runner.ports import ORPHAN_GRACE
from mlorch.runner.slots import end_deserted

if TYPE_CHECKING:
    from mlorch.engine.context import Context
    from mlorch.model.pools import Shortage
    from mlorch.model.ports import Orphans
    from mlorch.runner.ports import Ports


def end_stragglers(orphans: Orphans, context: Context, short: Shortage | None) -> bool:
    """End what nobody watches of runs that were deserted: a daemon must not hold the lock, or a slot, for ever."""
    if short is not None:
        return end_deserted(orphans, short.holders)
    deserted = [r for r in context.state.runs if r.state is RunState.RUNNING and orphans.deserted(r)]
    for run in deserted:
        orphans.end(run, ORPHAN_GRACE)
    return bool(deserted)


def meet_orphans(ports: Ports, context: Context, *, kill: bool) -> bool:
    """Tell of steps that outlived their mlorch and hold the lock; end them if they may not be waited for.

    Returns whether some were ended. Those whose supervisor lives are waited for, unless `kill`.
    """
    orphans = ports.orphans
    ended = False
    for run in context.state.runs:
        if run.state is not RunState.RUNNING:
            continue
        for orphan in orphans.find(run):
            step = orphan.token.split("/")[1]
            wait = orphan.watched and not kill
            what = "waiting for it, to adopt its result" if wait else "ending it"
            ports.observer.note(
                f"step {step} of run {run.run_id} outlived its mlorch (pid {orphan.pid}, since {orphan.at}): {what}"
            )
        if orphans.deserted(run):
            orphans.end(run, ORPHAN_GRACE, watched_too=kill)
            ended = True
    return ended
