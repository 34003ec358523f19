"""After a crash: finish what was intended, undo what was not, keep what ended well without us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.fold import INTERRUPTED, apply
from mlorch.model import events as ev
from mlorch.model.errors import FileError
from mlorch.model.states import RunState, StepState
from mlorch.model.times import iso_utc
from mlorch.runner.adoption import Adoptable
from mlorch.runner.attempts import folder_of, restore
from mlorch.runner.commit import artifacts, move_all
from mlorch.runner.ports import ORPHAN_GRACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.history import PartitionState, RunRecord, StepRecord
    from mlorch.model.ports import Clock, Files, Journal, RunFolders
    from mlorch.runner.ports import Ports


def recover(state: PartitionState, journal: Journal, files: Files, ports: Ports) -> dict[str, Adoptable]:
    """Bring a partition whose lock we hold to rest: every run that was cut off is recorded as lost.

    May itself be cut off at any point and called again. Returns what may be adopted, by step. Raises `StateError`.
    """
    adoptable = _left_before(state, ports)
    kept = {folder_of(place) for old in adoptable.values() for place in old.record.staging}
    cut_off = [run for run in state.runs if run.state is RunState.RUNNING]
    for run in cut_off:
        # The lock is ours, but a process that closed its descriptor may live on and write where we are about to clean.
        ports.orphans.end(run, ORPHAN_GRACE)
        for step in list(run.steps.values()):
            if step.publish is not None:
                _finish(state, run, step, step.publish, journal, files, ports.clock)
            elif step.state is StepState.RUNNING and step.last is not None:
                found = _ended_well(run, step, ports.folders)
                if found is not None:
                    adoptable[step.id] = found
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
            + " was cut off; what of it did not end well runs again"
        )
    for run in reversed(state.runs):
        if run.state is not RunState.LOST:
            break
        _clean(run, files, kept)  # an earlier recovery kept what was then not adopted
    last = state.last_run
    if last is not None and last.state is RunState.LOST:
        _remove_temps(state, files, adoptable)
    return adoptable


def _left_before(state: PartitionState, ports: Ports) -> dict[str, Adoptable]:
    """What an earlier recovery found fit for adoption, and no run has come to it since: cut off, or it was not selected."""
    found: dict[str, Adoptable] = {}
    for step_id in [step_id for step_id, how in state.unfinished.items() if how == INTERRUPTED]:
        newest = next((run for run in reversed(state.runs) if _attempts(run, step_id)), None)
        if newest is not None and newest.steps[step_id].state is StepState.LOST:
            adoptable = _ended_well(newest, newest.steps[step_id], ports.folders)
            if adoptable is not None:
                found[step_id] = adoptable
    return found


def _attempts(run: RunRecord, step_id: str) -> bool:
    step = run.steps.get(step_id)
    return step is not None and bool(step.attempts)


def _ended_well(run: RunRecord, step: StepRecord, folders: RunFolders) -> Adoptable | None:
    """The newest attempt of a step, or the one that it had adopted, if its command ended with 0."""
    if step.last is None:
        return None
    token = step.last.adopted or f"{run.run_id}/{step.id}/{step.last.number}"
    owner, number = token.partition("/")[0], int(token.rpartition("/")[2])
    done = folders.ends(owner).get(token)
    if done is None or (done.cause, done.exit_code) != ("exit", 0):
        return None
    return Adoptable(owner, number, step.last, done)


def _remove_temps(state: PartitionState, files: Files, adoptable: Mapping[str, Adoptable]) -> None:
    """A run cut off between the record that a `temp` output goes and its removal."""
    waiting = {place for old in adoptable.values() for staged in old.record.staging for place in (_final_of(staged),)}
    for path in sorted(state.removed - waiting):
        files.remove(path)


def _final_of(place: str) -> str:
    """The final path of a staged place: staging folders stand beside their targets."""
    folder, _, last = place.rpartition("/")
    parent = folder_of(folder)
    return f"{parent}/{last}" if parent else last


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
    body = dict(intent.success)
    del body["identities"]
    try:
        move_all(files, intent)
    except FileError as error:
        _refused(state, run, step, error, journal, files, clock)
        return
    names: list[str] = body.pop("names")
    in_place: list[str] = body.pop("in_place")
    files.flush_folders([final for _, final in intent.moves])
    count = len(intent.moves)
    moves = [(staged, final, name) for (staged, final), name in zip(intent.moves, names, strict=False)]
    found = artifacts(files, moves, zip(in_place, names[count:], strict=True))
    success = ev.event(body | {"at": iso_utc(clock.wall()), "outputs": []})
    assert isinstance(success, ev.StepSucceeded)  # noqa: S101 - `commit` wrote it
    done = success._replace(outputs=found)
    journal.append((done,))
    journal.flush()
    apply(state, done)
    for attempt in run.steps[step.id].attempts:
        for _, kept in attempt.aside:
            if kept:
                files.remove(kept)


def _refused(
    state: PartitionState,
    run: RunRecord,
    step: StepRecord,
    error: FileError,
    journal: Journal,
    files: Files,
    clock: Clock,
) -> None:
    """Its outputs cannot be put in place, now as then: the attempt failed, and the others go on."""
    last = step.last
    if last is not None:
        restore(files, last.staging, last.aside)
    number = last.number if last is not None else 0
    ended = ev.AttemptEnded(run.run_id, iso_utc(clock.wall()), step.id, number, "failed", "output", error.told)
    journal.append((ended,))
    apply(state, ended)


def _clean(run: RunRecord, files: Files, kept: set[str]) -> None:
    """Remove the staging folders of a run, but for those that an adopted attempt still needs."""
    folders = {
        folder_of(place) for step in run.steps.values() for attempt in step.attempts for place in attempt.staging
    }
    for folder in sorted(folders - kept):
        files.remove(folder)
