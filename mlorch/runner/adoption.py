"""What ended well under a killed mlorch: whose result it still is, how it is taken over, what becomes of it otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.model import events as ev
from mlorch.model.errors import FileError
from mlorch.model.states import Reason, StepState
from mlorch.model.times import parse_iso
from mlorch.runner.attempts import folder_of, restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.engine.context import Context, PlannedOutput
    from mlorch.model.attempt import AttemptDone
    from mlorch.model.history import AttemptRecord, RunRecord
    from mlorch.model.ports import Files
    from mlorch.model.spec import Step
    from mlorch.runner.attempts import Attempt

# Seconds; the kernel's clock for files ticks at least a hundred times a second.
_TICK = 0.02


@dataclass(frozen=True, slots=True)
class Adoptable:
    """An attempt that ended with 0 after its mlorch was gone; its outputs wait in their staging folders.

    `run_id` and `number` are those of the attempt that ran; `record` is the newest that took it over.
    """

    run_id: str
    number: int
    record: AttemptRecord
    done: AttemptDone

    def places(self, files: Files, outputs: tuple[PlannedOutput, ...]) -> dict[str, str] | None:
        """Where each of the step's outputs waits, by name; None if one is not there (any more)."""
        staging, aside = self.record.staging, dict(self.record.aside)
        if len(staging) != len(outputs):
            return None
        found: dict[str, str] = {}
        for output, place in zip(outputs, staging, strict=True):
            if output.path in aside:
                # Undone before, what stands there now is not its work.
                if not files.exists(aside[output.path] or output.path):
                    return None
                found[output.name] = output.path
            elif files.exists(place):
                found[output.name] = place
            elif self._moved(files, output.path):
                # Cut off between its rename and its record: it stands where it belongs already.
                found[output.name] = output.path
            else:
                return None
        return found

    def _moved(self, files: Files, path: str) -> bool:
        """Whether what stands at `path` was written since it started, or renamed (a copy may keep an old time) since it ended."""
        return _since(files.modified(path), self.done.started_at) or _since(files.touched(path), self.done.ended_at)

    def discard(self, files: Files) -> None:
        """It does not count after all: former outputs stand as they were."""
        restore(files, self.record.staging, self.record.aside)


def _since(changed: float | None, at: str) -> bool:
    # The times of files lag behind the clock by up to a tick of the kernel.
    return changed is not None and bool(at) and changed >= parse_iso(at).timestamp() - _TICK


@dataclass(frozen=True, slots=True)
class Adoptables:
    """What one run may adopt, by step."""

    context: Context
    found: dict[str, Adoptable]

    def __contains__(self, step_id: str) -> bool:
        return step_id in self.found

    def folders(self) -> set[str]:
        """The staging folders in which it waits."""
        return {folder_of(place) for old in self.found.values() for place in old.record.staging}

    def settle(self, step: Step, reason: Reason, digest: str) -> None:
        """The step is to run, for `reason` and with this fingerprint: what was left of it stays only if it still counts."""
        old = self.found.get(step.id)
        if old is None or (
            reason is not Reason.FORCED
            and old.record.fingerprint == digest
            and old.places(self.context.files, self.context.outputs(step)) is not None
        ):
            return
        old.discard(self.context.files)
        del self.found[step.id]

    def take(self, attempt: Attempt, at: str) -> tuple[ev.AttemptStarted, AttemptDone] | None:
        """Let `attempt` take over what was left of its step: the record of that, and the end that it had. None if nothing was."""
        old = self.found.pop(attempt.step.id, None)
        if old is None:
            return None
        attempt.folder, attempt.folder_number = old.run_id, old.number
        attempt.staging, attempt.aside = old.record.staging, old.record.aside
        attempt.staged |= old.places(self.context.files, attempt.outputs) or {}
        event = ev.AttemptStarted(
            attempt.run_id,
            at,
            attempt.step.id,
            attempt.number,
            Reason.INTERRUPTED.value,
            f"adopted from run {old.run_id}, which was cut off",
            old.record.command,
            old.record.log,
            attempt.fingerprint,
            attempt.staging,
            attempt.aside,
            old.record.external,
            old.done.token,
        )
        return event, old.done._replace(token=attempt.token, record_error="")

    def leave(self, run: RunRecord, note: Callable[[str], None]) -> set[str]:
        """The run is over: undo what nobody comes back to, and return the staging folders of what stays for a later run."""
        kept: set[str] = set()
        for step_id, old in self.found.items():
            if self._comes_back_to(run, step_id, old):
                kept.update(map(folder_of, old.record.staging))
                continue
            try:
                old.discard(self.context.files)
            except FileError as error:
                note(f"what run {old.run_id} left could not be undone: {error.message}")
        return kept

    def _comes_back_to(self, run: RunRecord, step_id: str, old: Adoptable) -> bool:
        """Whether a later run may take over what this one had no use for: its step was not selected, or it did not come to it.

        Not where the former content of an output waits: that must not be kept waiting.
        """
        if step_id not in self.context.by_id or any(path for path, _ in old.record.aside):
            return False
        ended = run.steps.get(step_id)
        later = (StepState.CANCELLED, StepState.BLOCKED, StepState.NOT_READY)
        return step_id not in self.context.selected or (ended is not None and ended.state in later)
