"""GitHub Actions: groups, annotations and the job summary. What steps print cannot forge the runner's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.views.failure import failure
from mlorch.views.lines import QuietObserver, warned
from mlorch.views.plain import backfill_total, step_line
from mlorch.views.rows import Row, state_counts, step_row
from mlorch.views.text import count, duration, lines_of, name_of, one_line, step_text, tally, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.status import BackfillRow

GROUP_BYTES = 256 * 1024
GROUP_LINES = 2000
_SUMMARY_STEPS = 200
_SUMMARY_ROOM = 512 * 1024
"""Bytes of what steps wrote: GitHub refuses a summary of more than 1 MiB as a whole."""


def data(text: str) -> str:
    """Escape what follows the second `::` of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def field(text: str) -> str:
    """Escape the value of a property of a workflow command."""
    return data(text).replace(":", "%3A").replace(",", "%2C")


def tame(text: str) -> str:
    """One line of text of others in which the runner sees no command, in neither of its two spellings."""
    text = one_line(text).replace("##[", "## [")
    return f"· {text}" if text.lstrip().startswith("::") else text


def annotation(level: str, message: str, place: Place | None = None, title: str = "") -> str:
    """An `::error …::` or `::warning …::` line, shown beside the line of the file."""
    fields = []
    if place is not None:
        fields += [f"file={field(place.file)}", f"line={place.line}", f"col={place.column}"]
    if title:
        fields.append(f"title={field(title)}")
    return f"::{level}{' ' if fields else ''}{','.join(fields)}::{data(message)}"


def diagnostic_line(problem: Diagnostic) -> str:
    """A problem of a spec as an annotation."""
    hint = f" ({problem.hint})" if problem.hint else ""
    return annotation(problem.severity.value, f"{problem.code}: {problem.message}{hint}", problem.place)


def cell(text: str) -> str:
    """Text of others in a cell of a Markdown table: no markup, no HTML, no column of its own."""
    text = one_line(text)
    for char in "\\`*_[]|~":
        text = text.replace(char, f"\\{char}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def summary(runs: Sequence[Row], written: Callable[[Row], str] = lambda _step: "") -> str:
    """The job summary: a table of each run's steps, at most so many that the page stays readable.

    `written` gives the Markdown that a step wrote itself; it stands below the table, as long as GitHub takes it.
    """
    lines: list[str] = []
    room = _SUMMARY_ROOM
    for run in runs:
        name = cell(name_of(run["pipeline"], run["partition"] or ""))
        took = f" in {duration(run['duration_s'])}" if run["duration_s"] is not None else ""
        state = "nothing to do" if run["run_id"] is None else words(run["state"])
        lines += [f"### {name}: {state}{took}", "", tally(state_counts(run["steps"])), ""]
        shown = [step for step in run["steps"] if step["state"] != "cached"][:_SUMMARY_STEPS]
        if shown:
            lines += ["| step | state | took | why |", "|---|---|--:|---|"]
            lines += [
                f"| {cell(step['id'])} | {words(step['state'])} | {duration(step['duration_s'])} | {cell(step_text(step))} |"
                for step in shown
            ]
            lines.append("")
        for step in shown:
            if (text := written(step).strip()) and len(text.encode()) <= room:
                room -= len(text.encode())
                lines += [f"#### {cell(step['id'])}", "", text, ""]
    return "\n".join(lines) + "\n" if lines else ""


class GithubObserver(QuietObserver):
    """A group with the log of each step as it ends, and an annotation for each that failed.

    `tail` gives the last bytes of a log, `token` a word that nobody can guess (a new one each time), `place` where a step
    is described.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        tail: Callable[[str, int], bytes],
        token: Callable[[], str],
        place: Callable[[str, str], Place | None],
    ) -> None:
        super().__init__(say)
        self._say = say
        self._tail = tail
        self._token = token
        self._place = place
        self._told: set[tuple[str, str]] = set()

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """Say how many partitions there are; then start."""
        self._say(backfill_total(rows))
        return True

    def note(self, message: str) -> None:
        """As a notice."""
        self._say(annotation("notice", message))

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """Name the run."""
        self._say(tame(f"{name_of(run.pipeline, run.partition)}  run {run.run_id}  {count(len(order), 'step')}"))

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """A group when the step ended."""
        if not step.state.ended or step.state.value == "cached":
            return
        name = f"{name_of(run.pipeline, run.partition)} "
        title = step_line(step_row(step), name) + warned(step)
        if warned(step):
            self._say(annotation("warning", title, self._place(run.pipeline, step.id)))
        last = step.last
        if last is None or not last.log:
            self._say(tame(title))
        else:
            self._group(title, last.log)
        if step.state.bad:
            found = failure(run, step, lambda _log, _limit: b"", lambda log: log)
            self._say(
                annotation("error", f"{found.title}: {found.what}", self._place(run.pipeline, step.id), found.title)
            )

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Nothing to say."""

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """A notice, if it is not only steps of this command that it waits for."""
        if holders and (run.run_id, step) not in self._told:
            self._told.add((run.run_id, step))
            name = f"{name_of(run.pipeline, run.partition)} {step}"
            self._say(annotation("notice", f"{name} waits for a slot of the pool {pool}: held by {holders}"))

    def _group(self, title: str, log: str) -> None:
        self._say(f"::group::{data(tame(title))}")
        token = self._token()
        self._say(f"::stop-commands::{token}")
        for line in lines_of(self._tail(log, GROUP_BYTES), GROUP_LINES):
            self._say(tame(line))  # GitHub heeds `stop-commands`; not all that reads such a log does
        self._say(f"::{token}::")
        self._say("::endgroup::")
