"""After a crash: finish what was intended, undo what was not, keep what ended well without us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.engine.fold import apply
from mlorch.model import events as ev
from mlorch.model.states import RunState, StepState
from mlorch.model.times import iso_utc
from mlorch.runner.attempts import folder_of, restore
from mlorch.runner.commit import artifacts
from mlorch.runner.ports import ORPHAN_GRACE

if TYPE_CHECKING:
    from mlorch.model.attempt import AttemptDone
    from mlorch.model.history import AttemptRecord, PartitionState, RunRecord, StepRecord
    from mlorch.model.ports import Clock, Files, Journal
    from mlorch.runner.ports import Ports


@dataclass(frozen=True, slots=True)
class Adoptable:
    """An attempt that ended with 0 after its mlorch was gone; its outputs wait in their staging folders."""

    run_id: str
    record: AttemptRecord
    done: AttemptDone

    def discard(self, files: Files) -> None:
        """It does not count after all: former outputs stand as they were."""
        restore(files, self.record.staging, self.record.aside)


def recover(state: PartitionState, journal: Journal, files: Files, ports: Ports) -> dict[str, Adoptable]:
    """Bring a partition whose lock we hold to rest: every run that was cut off is recorded as lost.

    May itself be cut off at any point and called again. Returns what may be adopted, by step. Raises `StateError`.
    """
    adoptable: dict[str, Adoptable] = {}
    for run in [run for run in state.runs if run.state is RunState.RUNNING]:
        # The lock is ours, but a process that closed its descriptor may live on and write where we are about to clean.
        ports.orphans.end(run, ORPHAN_GRACE)
        ends = ports.folders.ends(run.run_id)
        kept: set[str] = set()
        for step in list(run.steps.values()):
            if step.publish is not None:
                _finish(state, run, step, step.publish, journal, files, ports.clock)
            elif step.state is StepState.RUNNING and step.last is not None:
                done = ends.get(f"{run.run_id}/{step.id}/{step.last.number}")
                if done is not None and done.exit_code == 0 and done.cause == "exit":
                    adoptable[step.id] = Adoptable(run.run_id, step.last, done)
                    kept.update(map(folder_of, step.last.staging))
                else:
                    restore(files, step.last.staging, step.last.aside)
        _clean(run, files, kept)
        detail = f"cut off: process {run.pid} ended without a word"
        lost = ev.RunLost(run.run_id, iso_utc(ports.clock.wall()), detail)
        journal.append((lost,))
        journal.flush()
        apply(state, lost)
        ports.observer.note(
            f"run {run.run_id} of {run.pipeline} {run.partition}".rstrip()
            + " was cut off; its unfinished steps run again"
        )
    return adoptable


def _finish(
    state: PartitionState,
    run: RunRecord,
    step: StepRecord,
    intent: ev.PublishIntended,
    journal: Journal,
    files: Files,
    clock: Clock,
) -> None:
    """The staged outputs were whole and flushed: complete the moves and record the success."""
    for staged, final in intent.moves:
        files.move(staged, final)
    body = dict(intent.success)
    names: list[str] = body.pop("names")
    in_place: list[str] = body.pop("in_place")
    files.flush_folders([final for _, final in intent.moves])
    count = len(intent.moves)
    moves = [(staged, final, name) for (staged, final), name in zip(intent.moves, names, strict=False)]
    found = artifacts(files, moves, zip(in_place, names[count:], strict=True))
    success = ev.event(body | {"at": iso_utc(clock.wall()), "outputs": []})
    assert isinstance(success, ev.StepSucceeded)  # noqa: S101 - `commit` wrote it
    done = ev.StepSucceeded(**{name: getattr(success, name) for name in success.__slots__} | {"outputs": found})
    journal.append((done,))
    journal.flush()
    apply(state, done)
    for attempt in run.steps[step.id].attempts:
        for _, kept in attempt.aside:
            if kept:
                files.remove(kept)


def _clean(run: RunRecord, files: Files, kept: set[str]) -> None:
    """Remove the staging folders of a run, but for those that an adopted attempt still needs."""
    folders = {
        folder_of(place) for step in run.steps.values() for attempt in step.attempts for place in attempt.staging
    }
    for folder in sorted(folders - kept):
        files.remove(folder)
