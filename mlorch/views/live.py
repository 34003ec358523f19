"""The live view: what runs and what failed, counts for the rest, redrawn in place a few times a second."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mlorch.views.rows import STEP_STATES, run_row
from mlorch.views.tables import DIM, backfill_table, heading, state_text
from mlorch.views.text import STYLES, count, duration, lines_of, name_of, one_line, visible, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console, RenderableType

    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.status import BackfillRow

REFRESH_S = 0.1
TAIL_BYTES = 4096
_PROGRESS = re.compile(
    rb"^mlorch: *(?:(?P<percent>\d{1,3}(?:\.\d+)?) *%|(?P<done>\d+) */ *(?P<total>\d+))(?P<what>[^\r\n]*)", re.MULTILINE
)
_FRAME_LINES = 5
_LEAST_ROWS = 3
_BAR = 24
_LONG_S = 1.0
_PLACING = "its results are being put in place"
"""What is said of a step whose process ended so many seconds ago."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step said of itself: `share` from 0 to 1, and its own words."""

    share: float
    text: str


def progress_in(tail: bytes) -> Progress | None:
    """The last `mlorch: 42%` or `mlorch: 420/1000 what` line in the end of a log."""
    matches = list(_PROGRESS.finditer(tail))
    if not matches:
        return None
    found = matches[-1]
    what = visible(found["what"].decode("utf-8", "replace").strip())
    if found["percent"] is not None:
        return Progress(min(float(found["percent"]) / 100, 1.0), what)
    done, total = int(found["done"]), int(found["total"])
    share = min(done / total, 1.0) if total else 0.0
    return Progress(share, f"{done:,}/{total:,} {what}".rstrip())


@dataclass(slots=True)
class _Watched:
    """One run that goes on. `states` of the steps heard of, `since` when each one that runs began (monotonic seconds).

    `over` are those whose process has ended and whose results are being looked at: when it began, and when it ended. One that was started and is in
    neither waits its turn. `expected` are the seconds that steps take, as far as history knows.
    """

    run: RunRecord
    order: Sequence[str]
    began: float
    expected: Mapping[str, float]
    states: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    since: dict[str, float] = field(default_factory=dict)
    over: dict[str, tuple[float, float]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)

    def change(self, step: StepRecord) -> None:
        """Take in the new state of a step, at a cost that does not depend on the number of steps."""
        state = step.state.value
        before = self.states.get(step.id)
        self.waits.pop(step.id, None)
        if before is not None:
            self.counts[before] -= 1
        self.states[step.id] = state
        self.counts[state] += 1
        self.since.pop(step.id, None)
        self.over.pop(step.id, None)
        if step.state.bad and before != state:
            self.bad.append(step.id)

    def turn(self, step: str, now: float, *, runs: bool) -> None:
        """A process of a step begins, or is over. What its checks take is part of its time."""
        if runs:
            self.since[step] = self.over.pop(step, (now, now))[0]
        elif step in self.since:
            self.over[step] = (self.since.pop(step), now)

    def busy(self, now: float) -> dict[str, float]:
        """The steps that run, or whose results take long to look at; each with when it began."""
        late = {step: began for step, (began, ended) in self.over.items() if now - ended >= _LONG_S}
        return {**self.since, **late}

    def tally(self, now: float) -> Counter[str]:
        """How many steps are in each state. One that was started and waits its turn is pending: nothing of it runs."""
        counts = self.counts.copy()
        waiting = counts["running"] - len(self.busy(now))
        counts["running"] -= waiting
        counts["pending"] += len(self.order) - len(self.states) + waiting
        return counts


class LiveObserver:
    """Draws on `console`. `tail` gives the last bytes of a log, `monotonic` seconds.

    `confirm` is shown what a backfill would do; the backfill starts when it says True (None: at once). `expected` gives the
    seconds that the steps of a pipeline's partition take.
    """

    def __init__(
        self,
        console: Console,
        tail: Callable[[str, int], bytes],
        monotonic: Callable[[], float],
        confirm: Callable[[Sequence[BackfillRow]], bool] | None = None,
        expected: Callable[[str, str], Mapping[str, float]] = lambda _pipeline, _partition: {},
    ) -> None:
        self._console = console
        self._tail = tail
        self._monotonic = monotonic
        self._confirm = confirm
        self._expected = expected
        self._live: Live | None = None
        self._watched: dict[str, _Watched] = {}
        self._planned = 0
        self._ended: Counter[str] = Counter()
        self._began: float | None = None
        self._drawn = float("-inf")
        self._gone = False

    def planned(self, rows: Sequence[BackfillRow]) -> bool:
        """Show what is about to be done, and ask if so wired."""
        if any(row.action == "run" for row in rows):
            self._console.print(backfill_table(rows))
        if self._confirm is not None and not self._confirm(rows):
            return False
        self._planned = sum(row.action == "run" for row in rows)
        return True

    def run_started(self, run: RunRecord, order: Sequence[str]) -> None:
        """Begin to watch a run."""
        now = self._monotonic()
        self._began = now if self._began is None else self._began
        self._watched[run.run_id] = _Watched(run, order, now, self._expected(run.pipeline, run.partition))
        self._draw(force=True)

    def step_changed(self, run: RunRecord, step: StepRecord) -> None:
        """Take in a change; it is drawn with the next refresh."""
        watched = self._watched.get(run.run_id)
        if watched is not None:
            watched.change(step)
        self._draw()

    def step_runs(self, run: RunRecord, step: str, *, runs: bool) -> None:
        """Take in a beginning or an end; it is drawn with the next refresh."""
        watched = self._watched.get(run.run_id)
        if watched is not None:
            watched.turn(step, self._monotonic(), runs=runs)

    def step_waits(self, run: RunRecord, step: str, pool: str, holders: str) -> None:
        """Show what a step waits for, and who has it."""
        watched = self._watched.get(run.run_id)
        if watched is not None:
            held = f": held by {one_line(holders)}" if holders else ""
            watched.waits[step] = f"waits for a slot of the pool {pool}{held}"

    def run_ended(self, run: RunRecord) -> None:
        """Stop watching a run; in a backfill one that did not succeed stays above the view."""
        self._watched.pop(run.run_id, None)
        self._ended[run.state.value] += 1
        if self._planned and run.state.value != "succeeded":
            self._print(heading(run_row(run)))
        self._draw()

    def note(self, message: str) -> None:
        """A line above the view that stays."""
        self._print(Text.assemble(("· ", "yellow"), one_line(message), overflow="fold"))

    def tick(self) -> None:
        """Redraw, not more often than the eye needs."""
        self._draw()

    def close(self) -> None:
        """Take the view away; what follows is printed in its place."""
        live, self._live = self._live, None
        if live is not None and not self._gone:
            try:
                live.stop()
            except OSError:
                self._gone = True

    def _print(self, line: RenderableType) -> None:
        if self._gone:
            return
        try:
            self._console.print(line)
        except OSError:
            self._gone = True

    def _draw(self, *, force: bool = False) -> None:
        now = self._monotonic()
        if self._gone or (not force and now - self._drawn < REFRESH_S):
            return
        self._drawn = now
        try:
            if self._live is None:
                self._live = Live(
                    console=self._console,
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                    vertical_overflow="crop",
                )
                self._live.start()
                # A SIGKILL would leave the terminal without its cursor: better seen than lost.
                self._console.show_cursor(True)
            self._live.update(self.view(), refresh=True)
        except OSError:
            self._gone = True

    def view(self) -> RenderableType:
        """What is on the screen now."""
        now = self._monotonic()
        room = max(self._console.height - _FRAME_LINES, _LEAST_ROWS)
        watched = list(self._watched.values())
        if self._planned or len(watched) > 1:
            return self._several(watched, now, room)
        if not watched:
            return Text()
        one = watched[0]
        title = Text.assemble((name_of(one.run.pipeline, one.run.partition), "bold"), f"  {duration(now - one.began)}")
        title.append(f"  {one.run.run_id}", DIM)
        return Group(title, self._rows(one, now, room), self._foot(one.tally(now), len(one.order)))

    def _rows(self, one: _Watched, now: float, room: int) -> RenderableType:
        if len(one.order) <= room:
            shown = list(one.order)
        else:
            bad = one.bad[-(room // 3) :] if one.bad else []
            shown = [*bad, *[*one.busy(now), *one.waits][: room - len(bad)]]
        grid = self._grid()
        for step in shown:
            grid.add_row(*self._cells(one, step, now, visible(step)))
        return grid

    def _several(self, watched: Sequence[_Watched], now: float, room: int) -> RenderableType:
        grid = self._grid()
        left = room
        for one in watched:
            for step in [*one.busy(now), *one.waits][: max(left, 0)]:
                grid.add_row(
                    *self._cells(one, step, now, f"{name_of(one.run.pipeline, one.run.partition)}  {visible(step)}")
                )
                left -= 1
        return Group(self._overall(now), grid)

    def _overall(self, now: float) -> RenderableType:
        done = self._ended.total()
        total = max(self._planned, done + len(self._watched))
        elapsed = now - (self._began if self._began is not None else now)
        text = Text(f" {done:,} of {count(total, 'partition')}")
        for state, number in sorted(self._ended.items()):
            text.append(f" · {number:,} {words(state)}", STYLES.get(state, ""))
        text.append(f" · {duration(elapsed)}", DIM)
        if self._planned and 0 < done < total:
            text.append(f" · about {duration(elapsed / done * (total - done))} left", DIM)
        return self._bar(done, total, text)

    def _foot(self, counts: Counter[str], total: int) -> RenderableType:
        ended = sum(number for state, number in counts.items() if state not in ("running", "pending"))
        text = Text(f" {ended:,}/{total:,}")
        for state in STEP_STATES:
            if counts[state]:
                text.append(f" · {counts[state]:,} {words(state)}", STYLES.get(state, ""))
        return self._bar(ended, total, text)

    def _bar(self, done: float, total: float, text: Text) -> RenderableType:
        grid = Table.grid(padding=0)
        grid.add_column(width=_BAR)
        grid.add_column(overflow="fold")
        bar = ProgressBar(
            total=max(total, 1), completed=done, width=_BAR, complete_style="cyan", finished_style="green"
        )
        grid.add_row(bar, text)
        return grid

    @staticmethod
    def _grid() -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right", min_width=6)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        return grid

    def _cells(self, one: _Watched, step: str, now: float, label: str) -> list[RenderableType]:
        state = one.states.get(step, "pending")
        record = one.run.steps.get(step)
        last = record.last if record is not None else None
        began = one.busy(now).get(step)
        if state == "running" and began is not None:
            took = duration(now - began)
            if step in one.expected:
                took += f" of ~{duration(one.expected[step])}"
            saying = self._saying(last.log if last else "") if step in one.since else Text(_PLACING, DIM)
            return [Text(f"  {label}"), state_text(state), Text(took), saying]
        state = "pending" if state == "running" else state
        took = duration(last.duration_s) if last is not None and last.duration_s else ""
        style = DIM if state in ("pending", "cached", "skipped") else ""
        told = ""
        if step in one.waits:
            told = one.waits[step]
        elif record is not None and state not in ("pending", "cached", "succeeded"):
            told = one_line(record.detail)
        elif state == "pending" and last is not None and last.retry_at:
            told = f"attempt {last.number} failed, tried again at {last.retry_at[11:19]}"
        return [Text(f"  {label}", style), state_text(state), Text(took), Text(told, DIM)]

    def _saying(self, log: str) -> RenderableType:
        """The end of a running step's log: its progress as a bar, else its last line."""
        tail = self._tail(log, TAIL_BYTES) if log else b""
        progress = progress_in(tail)
        if progress is None:
            lines = [line for line in lines_of(tail, 5) if line.strip()]
            return Text(lines[-1].strip() if lines else "", DIM)
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=_BAR // 2)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=1.0, completed=progress.share, width=_BAR // 2, complete_style="cyan")
        grid.add_row(bar, Text(f"{progress.share:4.0%} {progress.text}", DIM))
        return grid
