from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from mlorch.model.history import AttemptRecord, RunRecord, StepRecord
from mlorch.model.states import RunState, StepState
from mlorch.views.console import PatientConsole
from mlorch.views.live import LiveObserver, progress_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.status import BackfillRow


@dataclass
class Screen:
    """A terminal of a given size, a clock turned by hand, and logs in memory."""

    width: int = 80
    height: int = 24
    time: float = 0.0
    logs: dict[str, bytes] = field(default_factory=dict)
    reads: int = 0
    expected: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.out = io.StringIO()
        self.console = Console(
            file=self.out,
            width=self.width,
            height=self.height,
            force_terminal=True,
            color_system=None,
            legacy_windows=False,
        )
        self.view = LiveObserver(
            self.console, self.tail, lambda: self.time, expected=lambda pipeline, _: self.expected.get(pipeline, {})
        )

    def tail(self, log: str, limit: int) -> bytes:
        self.reads += 1
        return self.logs.get(log, b"")[-limit:]

    def text(self) -> str:
        """What the view shows now."""
        out = io.StringIO()
        console = Console(file=out, width=self.width, height=self.height, color_system=None)
        console.print(self.view.view())
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def begin(screen: Screen, count: int, run_id: str = "r1", partition: str = "") -> RunRecord:
    run = RunRecord(run_id, "demo", partition)
    screen.view.run_started(run, [f"s{index}" for index in range(count)])
    return run


def turn(screen: Screen, run: RunRecord, step: str, state: StepState, **more: object) -> None:
    record = run.steps.setdefault(step, StepRecord(step))
    if state is StepState.RUNNING:
        record.attempts.append(AttemptRecord(len(record.attempts) + 1, state, log=f"{step}.log"))
    record.state = state
    for name, value in more.items():
        setattr(record, name, value)
    screen.view.step_changed(run, record)
    if state is StepState.RUNNING:
        screen.view.step_runs(run, step, runs=True)


def test_what_runs_shows_how_long_it_may_take() -> None:
    screen = Screen(expected={"demo": {"s0": 90.0}})
    run = begin(screen, 2)
    turn(screen, run, "s0", StepState.RUNNING)
    turn(screen, run, "s1", StepState.RUNNING)
    screen.time = 5.0
    known, unknown = screen.text().splitlines()[1:3]
    assert known.split() == ["s0", "▸", "running", "5.0s", "of", "~1m", "30s"]
    assert unknown.split() == ["s1", "▸", "running", "5.0s"]


@pytest.mark.parametrize(
    ("log", "share", "text"),
    [
        (b"mlorch: 42%\n", 0.42, ""),
        (b"mlorch: 420/1000 rows of [x]\nother\n", 0.42, "420/1,000 rows of [x]"),
        (b"mlorch: 1%\nmlorch:  99.5 % almost\n", 0.995, "almost"),
        (b"mlorch: 7/0\n", 0.0, "7/0"),
        (b"mlorch: 2000/1000\n", 1.0, "2,000/1,000"),
        (b"mlorch: 400%\n", 1.0, ""),
        (b"mlorch: 5/10 \x1b[2Jrows\xff\n", 0.5, "5/10 \\x1b[2Jrows�"),
    ],
)
def test_progress_lines(log: bytes, share: float, text: str) -> None:
    found = progress_in(log)
    assert found is not None
    assert found.share == pytest.approx(share)
    assert found.text == text


@pytest.mark.parametrize("log", [b"", b"42%\n", b"say mlorch: 42%\n", b"mlorch: soon\n"])
def test_other_lines_are_no_progress(log: bytes) -> None:
    assert progress_in(log) is None


def test_all_steps_of_a_small_run_are_shown_with_their_last_line() -> None:
    screen = Screen()
    run = begin(screen, 3)
    turn(screen, run, "s0", StepState.SUCCEEDED)
    turn(screen, run, "s1", StepState.RUNNING)
    screen.logs["s1.log"] = b"first\n[bold]second\x1b[2J[/bold]\n\n"
    screen.time = 65
    text = screen.text()
    assert "s0  ✓ succeeded" in text
    assert "s1  ▸ running    1m 05s  [bold]second\\x1b[2J[/bold]" in text
    assert "s2  · pending" in text
    assert "1/3 · 1 succeeded · 1 running · 1 pending" in text


def test_progress_moves_a_bar() -> None:
    screen = Screen()
    run = begin(screen, 1)
    turn(screen, run, "s0", StepState.RUNNING)
    screen.logs["s0.log"] = b"mlorch: 420/1000 rows\nlater\n"
    assert "42% 420/1,000 rows" in screen.text()


def test_ten_thousand_steps_fit_the_screen() -> None:
    screen = Screen(width=120, height=20)
    run = begin(screen, 10_000)
    for index in range(9_000):
        turn(screen, run, f"s{index}", StepState.FAILED if index % 1000 == 7 else StepState.SUCCEEDED)
    for index in range(9_000, 9_100):
        turn(screen, run, f"s{index}", StepState.RUNNING)
    screen.reads = 0
    text = screen.text()
    assert len(text.splitlines()) <= 20
    assert "s8007" in text
    assert "s9000" in text
    assert "9,000/10,000 · 8,991 succeeded · 9 failed · 100 running · 900 pending" in text
    assert screen.reads <= 20, "only logs of steps on the screen are read"


def test_a_retry_says_when() -> None:
    screen = Screen()
    run = begin(screen, 1)
    turn(screen, run, "s0", StepState.RUNNING)
    run.steps["s0"].attempts[0].retry_at = "2026-05-01T11:55:15Z"
    turn(screen, run, "s0", StepState.PENDING)
    assert "attempt 1 failed, tried again at 11:55:15" in screen.text()


def test_several_runs_share_one_bar(backfill_rows: Sequence[BackfillRow]) -> None:
    screen = Screen()
    assert screen.view.planned(backfill_rows)
    for day in (28, 29):
        run = begin(screen, 2, f"r{day}", f"2013-01-{day}")
        turn(screen, run, "s0", StepState.RUNNING)
        if day == 28:
            screen.time = 10
            run.state = RunState.FAILED
            screen.view.run_ended(run)
    text = screen.text()
    assert "1 of 5 partitions · 1 failed · 10s · about 40s left" in text
    assert "demo 2013-01-29  s0  ▸ running" in text
    assert "2013-01-28" not in text


def test_redraws_are_bounded() -> None:
    screen = Screen()
    run = begin(screen, 1000)
    written = len(screen.out.getvalue())
    for index in range(1000):
        turn(screen, run, f"s{index}", StepState.SUCCEEDED)
    assert len(screen.out.getvalue()) == written
    screen.time = 1
    screen.view.tick()
    assert len(screen.out.getvalue()) > written


def test_the_view_is_taken_away_and_the_cursor_stays() -> None:
    screen = Screen()
    begin(screen, 1)
    screen.view.close()
    screen.view.close()
    assert screen.out.getvalue().rindex("\x1b[?25h") > screen.out.getvalue().rindex("\x1b[?25l")


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe", text[:0])


def test_a_closed_output_is_no_error() -> None:
    console = PatientConsole(file=Closed(), width=80, height=24, force_terminal=True, color_system=None)
    view = LiveObserver(console, lambda _log, _limit: b"", lambda: 0.0)
    run = RunRecord("r", "demo", "")
    view.run_started(run, ["a"])
    view.note("still here")
    view.tick()
    view.run_ended(run)
    view.close()


def test_a_step_that_waits_for_a_pool_says_who_has_it() -> None:
    screen = Screen(width=120)
    run = begin(screen, 40)
    screen.view.step_waits(run, "s30", "gpu", "step train of run r0 [b]")
    screen.view.step_waits(run, "s31", "gpu", "")
    assert "s30" in screen.text()
    assert "waits for a slot of the pool gpu: held by step train of run r0 [b]" in screen.text()
    turn(screen, run, "s30", StepState.RUNNING)
    turn(screen, run, "s31", StepState.NOT_READY)
    assert "waits for" not in screen.text()


def test_what_waits_its_turn_in_the_executor_does_not_run() -> None:
    screen = Screen(height=12)
    run = begin(screen, 100)
    turn(screen, run, "s0", StepState.RUNNING)
    record = run.steps["s1"] = StepRecord("s1", StepState.RUNNING)
    screen.view.step_changed(run, record)
    text = screen.text()
    assert "s0  ▸ running" in text
    assert "s1" not in text
    assert "0/100 · 1 running · 99 pending" in text
    screen.time = 3.0
    screen.view.step_runs(run, "s1", runs=True)
    screen.time = 5.0
    assert "s1  ▸ running    2.0s" in screen.text()


def test_results_that_take_long_to_put_in_place_are_told() -> None:
    screen = Screen(logs={"s0.log": b"done\n"})
    run = begin(screen, 2, partition="2013-01-01")
    other = begin(screen, 2, "r2", partition="2013-01-02")
    turn(screen, run, "s0", StepState.RUNNING)
    turn(screen, other, "s0", StepState.RUNNING)
    screen.time = 10.0
    screen.view.step_runs(run, "s0", runs=False)
    assert "2013-01-01" not in screen.text()
    screen.time = 11.5
    assert "demo 2013-01-01  s0  ▸ running     12s  its results are being put in place" in screen.text()
    screen.view.step_runs(run, "s0", runs=True)  # a check that is a command
    screen.time = 12.0
    assert "demo 2013-01-01  s0  ▸ running     12s  done" in screen.text()
