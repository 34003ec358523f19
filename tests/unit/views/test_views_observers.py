from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.history import AttemptRecord, StepRecord
from mlorch.model.states import StepState
from mlorch.views import github, rows
from mlorch.views.github import GithubObserver
from mlorch.views.lines import LineObserver, QuietObserver
from mlorch.views.problems import excerpt, problem_lines, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.model.history import RunRecord
    from mlorch.model.status import BackfillRow


def tell(observer: QuietObserver, run: RunRecord) -> None:
    observer.run_started(run, list(run.steps))
    for step in run.steps.values():
        observer.step_changed(run, step)
    observer.note("waiting for\na lock")
    observer.tick()
    observer.run_ended(run)
    observer.close()


def test_lines_as_steps_end(failed_run: RunRecord) -> None:
    said: list[str] = []
    warned: list[str] = []
    tell(LineObserver(said.append, warned.append), failed_run)
    assert said == [
        "delay_model 2013-01-31  run 20260501-115500-ab12  4 steps",
        "clean_flights  succeeded  4.0s",
        "train[lr=0.1,seed=1]  failed  3m 08s  2 attempts  [/foo] is no markup, exit status 3",
        "publish  blocked  train[lr=0.1,seed=1]",
    ]
    assert warned == ["waiting for ⏎ a lock"]


def test_verbose_lines_also_tell_what_was_reused(failed_run: RunRecord) -> None:
    said: list[str] = []
    tell(LineObserver(said.append, said.append, verbose=True), failed_run)
    assert "join_weather  cached  unchanged" in said


def test_a_retry_is_told_once(good_run: RunRecord) -> None:
    said: list[str] = []
    observer = LineObserver(said.append, said.append)
    first = AttemptRecord(1, StepState.FAILED, detail="exit status 3", retry_at="2026-05-01T11:55:15Z")
    step = StepRecord("load", StepState.PENDING, attempts=[first])
    for _ in range(3):
        observer.step_changed(good_run, step)
    assert said == ["load  attempt 1 failed  exit status 3  tried again at 2026-05-01T11:55:15Z"]


def test_in_a_backfill_lines_name_the_partition(failed_run: RunRecord, backfill_rows: Sequence[BackfillRow]) -> None:
    said: list[str] = []
    observer = LineObserver(said.append, said.append)
    assert observer.planned(backfill_rows)
    tell(observer, failed_run)
    assert said[0].split() == ["partition", "action", "reason", "expected"]
    assert any(line.startswith("7 partitions: ") for line in said)
    assert "delay_model 2013-01-31 clean_flights  succeeded  4.0s" in said
    assert said[-1].startswith("delay_model 2013-01-31  failed  4 steps")


def test_quiet_says_only_notes(failed_run: RunRecord) -> None:
    said: list[str] = []
    tell(QuietObserver(said.append), failed_run)
    assert said == ["waiting for ⏎ a lock"]


def runner_commands(lines: Sequence[str]) -> list[str]:
    """The commands that a GitHub runner would obey, in either of its spellings, heeding `stop-commands`."""
    found = []
    stopped = ""
    for line in "\n".join(lines).split("\n"):
        match = re.match(r"\s*::([a-zA-Z0-9-]+)", line)
        old = re.search(r"##\[([a-z-]+)", line)
        if stopped:
            stopped = "" if line.strip() == f"::{stopped}::" else stopped
        elif match and match[1] == "stop-commands":
            stopped = line.split("::")[2]
        elif match or old:
            found.append(line)
    return found


FORGED = b"fine\n::error::forged\n  ::set-env name=PATH::x\n##[group]forged\n::guess::\n"


def test_output_of_steps_forges_no_command(failed_run: RunRecord) -> None:
    tokens = iter(f"token{index}" for index in range(9))
    said: list[str] = []
    observer = GithubObserver(
        said.append,
        lambda _log, _limit: FORGED,
        lambda: next(tokens),
        lambda _p, _s: Place("pipelines/a,b.yaml", 12, 3),
    )
    failed_run.steps["::error::x"] = StepRecord("::error::x", StepState.BLOCKED, "", "##[error]y\n::error::z")
    tell(observer, failed_run)
    assert "· ::error::forged" in said, "the log is there to be read"
    obeyed = runner_commands(said)
    what = "[/foo] is no markup, exit status 3"
    fields = "file=pipelines/a%2Cb.yaml,line=12,col=3,title=delay_model 2013-01-31 · train[lr=0.1%2Cseed=1]"
    assert obeyed == [
        "::group::delay_model 2013-01-31 clean_flights  succeeded  4.0s",
        "::endgroup::",
        f"::group::delay_model 2013-01-31 train[lr=0.1,seed=1]  failed  3m 08s  2 attempts  {what}",
        "::endgroup::",
        f"::error {fields}::delay_model 2013-01-31 · train[lr=0.1,seed=1]: {what} after 4.0s, attempt 2",
        "::notice::waiting for%0Aa lock",
    ]


@pytest.mark.parametrize("text", ["::error::x", "  ::error::x", "a ##[error]x", "a\n::error::x", "\x1b[0m::error::x"])
def test_tame(text: str) -> None:
    assert runner_commands([github.tame(text)]) == []


def test_summary_is_markdown_that_nobody_can_break_out_of(failed_run: RunRecord) -> None:
    failed_run.steps["publish"].detail = "a | b <script> `x` *y* [l](u)\nnext"
    text = github.summary([rows.run_row(failed_run)])
    assert "### delay\\_model 2013-01-31: failed in 3m 12s" in text
    row = next(line for line in text.splitlines() if line.startswith("| publish"))
    assert row == "| publish | blocked |  | a \\| b &lt;script&gt; \\`x\\` \\*y\\* \\[l\\](u) ⏎ next |"
    assert "join_weather" not in text
    assert github.summary([]) == ""


def test_a_problem_as_annotation() -> None:
    problem = Diagnostic("E201", "unknown key `a:b`\n100%", Place("a.yaml", 3, 5), "did you mean `c`?")
    assert github.diagnostic_line(problem) == (
        "::error file=a.yaml,line=3,col=5::E201: unknown key `a:b`%0A100%25 (did you mean `c`?)"
    )


def test_problem_lines() -> None:
    problem = Diagnostic("E201", "unknown key", Place("a.yaml", 12, 5, 4), "did you mean `run`?", "    runn: x\x1b[2J")
    assert problem_lines(problem) == [
        "a.yaml:12:5: error E201: unknown key",
        "   12 |     runn: x\\x1b[2J",
        "      |     ^^^^",
        "      = help: did you mean `run`?",
    ]
    assert "\x1b[1;31m" in problem_lines(problem, colour=True)[0]
    assert totals([problem, problem, Diagnostic("W1", "odd")]) == "2 errors, 1 warning"


def test_the_caret_stands_below_wide_characters() -> None:
    assert excerpt("日本: xy", 5, 2) == ("日本: xy", 6, 2)
    assert excerpt("ab", 9, 3) == ("ab", 2, 1)


def test_a_very_long_line_is_cut_around_the_place() -> None:
    shown, offset, width = excerpt("a" * 5000 + "KEY" + "b" * 5000, 5001, 3)
    assert len(shown) < 200
    assert shown[offset : offset + width] == "KEY"


def test_who_holds_a_pool_is_said_once_a_step(failed_run: RunRecord) -> None:
    said: list[str] = []
    observer = LineObserver(said.append, said.append)
    observer.step_waits(failed_run, "train", "gpu", "")
    assert said == [], "steps of the same command are no news"
    for _ in range(2):
        observer.step_waits(failed_run, "train", "gpu", "step x of\nrun r0")
    assert said == ["train  waiting  for a slot of the pool gpu: held by step x of ⏎ run r0"]


def test_who_holds_a_pool_is_a_notice_on_github(failed_run: RunRecord) -> None:
    said: list[str] = []
    observer = GithubObserver(said.append, lambda _log, _limit: b"", lambda: "token", lambda _p, _s: None)
    for _ in range(2):
        observer.step_waits(failed_run, "train", "gpu", "x\n::error::y")
    assert len(said) == 1
    assert said[0].startswith("::notice")
    assert "waits for a slot of the pool gpu: held by x%0A::error::y" in said[0]
