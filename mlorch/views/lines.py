"""Observers for where nobody watches: plain lines as steps end, or silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.plain import backfill_total, decision_lines, run_line, step_line
from mlorch.views.rows import run_row, step_row
from mlorch.views.text import count, name_of, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.status import BackfillRow


def warned(step: StepRecord) -> str:
    """What to add to the line of a step that succeeded although a check of severity `warn` did not hold."""
    told = step.last.detail if step.state.value == "succeeded" and step.last else ""
    return f"  warning: {one_line(told)}" if told else ""


class QuietObserver:
    """Says nothing but what people must know, to `warn` (one line at a time, without its end)."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn

    def planned(self, rows: Sequence[BackfillRow]) -> bool:  # noqa: ARG002 - the port's signature
        """Start."""
        return True

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """Nothing to say."""

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """Nothing to say."""

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Nothing to say."""

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """Nothing to say."""

    def run_ended(self, run: RunRecord) -> None:
        """Nothing to say."""

    def note(self, message: str) -> None:
        """Pass it on."""
        self._warn(one_line(message))

    def tick(self) -> None:
        """Nothing to say."""

    def close(self) -> None:
        """Nothing is held."""


class LineObserver(QuietObserver):
    """One line as each step ends. `say` takes a line without its end; `verbose` also tells starts and what is reused."""

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None], *, verbose: bool = False) -> None:
        super().__init__(warn)
        self._say = say
        self._verbose = verbose
        self._several = False
        self._open = 0
        self._mixed = False
        self._waiting: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """Say which partitions will run, and why; then start."""
        self._several = True
        for line in decision_lines(rows):
            self._say(line)
        self._say(backfill_total(rows))
        return True

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """Name the run, so that it can be looked at or cancelled from elsewhere."""
        self._open += 1
        self._mixed = self._mixed or self._open > 1
        if not self._several or self._verbose:
            self._say(f"{name_of(run.pipeline, run.partition)}  run {run.run_id}  {count(len(order), 'step')}")

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """A line when the step ended, or will be tried again."""
        prefix = f"{name_of(run.pipeline, run.partition)} " if self._several or self._mixed else ""
        state = step.state
        if state.ended:
            if state.value != "cached" or self._verbose:
                self._say(step_line(step_row(step), prefix) + warned(step))
        elif step.last and step.last.retry_at:
            self._say_retry(run, step, prefix)
        elif self._verbose and state.value == "running":
            self._say(step_line(step_row(step), prefix))

    def _say_retry(self, run: RunRecord, step: StepRecord, prefix: str) -> None:
        """Once an attempt, however often the step is reported while it waits."""
        last = step.last
        if last is None or self._waiting.get((run.run_id, step.id)) == last.number:
            return
        self._waiting[run.run_id, step.id] = last.number
        self._say(
            f"{prefix}{step.id}  attempt {last.number} failed  {one_line(last.detail)}  tried again at {last.retry_at}"
        )

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Nothing to say."""

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """Once a step, if it is not only steps of this command that it waits for."""
        if holders and (run.run_id, step) not in self._told:
            self._told.add((run.run_id, step))
            prefix = f"{name_of(run.pipeline, run.partition)} " if self._several or self._mixed else ""
            self._say(f"{prefix}{one_line(step)}  waiting  for a slot of the pool {pool}: held by {one_line(holders)}")

    def run_ended(self, run: RunRecord) -> None:
        """A line that adds up; of a single run the summary that follows says it."""
        self._open -= 1
        if self._several:
            self._say(run_line(run_row(run)))
