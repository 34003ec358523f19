"""What a run leaves on the disk beside results: staging folders, `temp` outputs, former outputs, secrets in small files; and how it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlorch.engine.temps import removable
from mlorch.model import events as ev
from mlorch.model.errors import FileError
from mlorch.runner.attempts import folder_of, scrub, undo

if TYPE_CHECKING:
    from mlorch.model.spec import Step
    from mlorch.runner.attempts import Attempt
    from mlorch.runner.recorder import Recorder


@dataclass(slots=True)
class Leavings:
    """The leavings of one run. `folders` are its staging folders that are removed when it ends."""

    recorder: Recorder
    folders: set[str]
    _temps: bool = field(init=False)

    def __post_init__(self) -> None:
        steps = self.recorder.context.pipeline.steps
        self._temps = any(output.temp for step in steps for output in step.outputs)

    def expect(self, attempt: Attempt) -> None:
        """An attempt is about to stage: where it is the first to do so, what a power cut left beside goes."""
        for folder in map(folder_of, attempt.staging):
            if folder not in self.folders:
                self.folders.add(folder)
                self.recorder.ports.folders.sweep(folder_of(folder))

    def scrubbed(self, attempt: Attempt) -> str:
        """Leave no secret in what the step wrote for us; words to add to its end if that cannot be done."""
        recorder = self.recorder
        try:
            scrub(recorder.context.files, attempt, recorder.ports.folders, recorder.secrets)
        except FileError as error:
            return f"; secrets in what it wrote could not be masked: {error.message}"
        return ""

    def undone(self, attempt: Attempt) -> str:
        """Undo an attempt; words to add to its end if that cannot be done: nothing is thrown away then."""
        try:
            undo(self.recorder.context.files, attempt)
        except FileError as error:
            self.folders.difference_update(map(folder_of, attempt.staging))
            kept = ", ".join(kept for _, kept in attempt.aside if kept) or ", ".join(map(folder_of, attempt.staging))
            return f"; what it left could not be undone: {error.told} (kept: {kept})"
        return ""

    def remove_temps(self, step: Step) -> None:
        """Remove `temp` outputs whose last reader is done; those of a reader that failed are kept for the next run."""
        if not self._temps:
            return
        recorder, context = self.recorder, self.recorder.context
        for need in (step.id, *context.graph.needs[step.id]):
            paths = removable(context, need)
            if not paths:
                continue
            recorder.append(*(ev.OutputRemoved(recorder.run_id, recorder.now(), need, path) for path in paths))
            recorder.journal.flush()  # it must not count as missing if the power goes
            for path in paths:
                try:
                    context.files.remove(path)
                except FileError as error:
                    self.not_removed(error.message)

    def not_removed(self, message: str) -> None:
        """Tell that something that is not needed any more cannot be removed; it harms nothing."""
        self.recorder.ports.observer.note(f"{message}; it is not needed any more: remove it by hand")
