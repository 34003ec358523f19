"""Inputs from other partitions: windows of another length, of the pipeline itself, before its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

_DAYS = "{day: {every: day, start: 2013-01-01, end: 2013-01-20}}"
_WEEKS = "{week: {every: week, start: 2013-W02, end: 2013-W03}}"
_EARLIER = (
    "{from: '${{ date(partition.start - 2*d, \"%Y-%m-%d\") }}', to: '${{ date(partition.start - 1*d, \"%Y-%m-%d\") }}'}"
)


def _pipeline(project: Project, name: str, partitions: str, reads: str = "", span: str = "") -> None:
    inputs = f"inputs: {{i: {{pipeline: {reads}, output: o, partitions: {span}}}}}" if reads else ""
    words = "x, y, '${{ inputs.i }}'" if reads else "x, y"
    (project.folder / "pipelines" / f"{name}.yaml").write_text(
        f"""\
mlorch: 1
name: {name}
kind: feature
owner: dana@example.org
partitions: {partitions}
steps:
  a:
    run: [sh, -c, 'shift; echo "$@" > "$MLORCH_OUTPUT_O"', {words}]
    outputs: {{o: 'out/{name}/${{{{ partition.key }}}}.txt'}}
    {inputs}
""",
        "utf-8",
    )


def _read(project: Project, name: str, key: str) -> list[str]:
    text = (project.folder / "out" / name / f"{key}.txt").read_text("utf-8")
    return [word.rpartition("/")[2].removesuffix(".txt") for word in text.split()]


def test_the_last_days_of_a_week_end_with_its_sunday(project: Project) -> None:
    _pipeline(project, "days", _DAYS)
    _pipeline(project, "weeks", _WEEKS, "days", "last(7)")
    assert project("run", "weeks", "-p", "2013-W02", "--with-upstream").returncode == 0
    assert _read(project, "weeks", "2013-W02") == [f"2013-01-{day:02}" for day in range(7, 14)]


def test_a_day_reads_the_last_month_that_is_over(project: Project) -> None:
    _pipeline(project, "months", "{month: {every: month, start: 2013-01}}")
    _pipeline(project, "days", "{day: {every: day, start: 2013-01-30, end: 2013-03-31}}", "months", "last(1)")
    for day, months in (("2013-01-31", ["2013-01"]), ("2013-02-27", ["2013-01"]), ("2013-02-28", ["2013-02"])):
        done = project("run", "days", "-p", day, "--with-upstream", "--now", f"{day}T23:59:59+00:00")
        assert done.returncode == 5, "its own window is open"
        done = project("run", "days", "-p", day, "--with-upstream", "--now", "2013-03-01")
        assert done.returncode == 0, done.stdout + done.stderr
        assert _read(project, "days", day) == months
    waits = project("run", "days", "-p", "2013-01-30", "--with-upstream")
    assert waits.returncode == 5, "no month is over yet"
    assert project("run", "days", "-p", "2013-03-05", "--now", "2013-03-06").returncode == 0, (
        "March is open: February's"
    )


def test_a_backfill_says_what_it_runs_upstream_too(project: Project) -> None:
    _pipeline(project, "months", "{month: {every: month, start: 2013-01}}")
    _pipeline(project, "days", "{day: {every: day, start: 2013-01-31, end: 2013-03-31}}", "months", "last(1)")
    _pipeline(project, "weeks", "{week: {every: week, start: 2013-W06, end: 2013-W09}}", "days", "last(7)")
    words = ("backfill", "weeks", "--last", "1", "--with-upstream")
    wanted = [("months", "2013-01"), ("months", "2013-02"), *(("days", f"2013-02-{day}") for day in (25, 26, 27, 28)), *(("days", f"2013-03-0{day}") for day in (1, 2, 3))]  # fmt: skip
    for more, state in (("--dry-run", "missing"), ("--yes", "succeeded")):
        data = project.json(*words, more)["data"]
        assert [(row["pipeline"], row["key"]) for row in data["upstream"]] == wanted
        assert {row["state"] for row in (*data["upstream"], *data["partitions"])} == {state}
        assert data["counts"] == {"total": 1, state: 1}
    assert project.json(*words, "--yes")["data"]["upstream"] == []
    text = project(*words, "--only", "all", "--dry-run").stdout
    assert text.splitlines()[-1] == "1 partition: 1 done"


def test_a_step_that_reads_its_own_output_reads_the_windows_before(project: Project) -> None:
    _pipeline(project, "chain", _DAYS, "chain", "last(2)")
    done = project("backfill", "chain", "--to", "2013-01-05")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _read(project, "chain", "2013-01-01") == []
    assert _read(project, "chain", "2013-01-02") == ["2013-01-01"]
    assert _read(project, "chain", "2013-01-05") == ["2013-01-03", "2013-01-04"]
    assert "nothing to do" in project("run", "chain", "-p", "2013-01-03").stdout


def test_a_range_that_begins_before_the_first_window_is_shorter(project: Project) -> None:
    _pipeline(project, "chain", _DAYS, "chain", _EARLIER)
    done = project("run", "chain", "-p", "2013-01-03", "--with-upstream")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _read(project, "chain", "2013-01-02") == ["2013-01-01"]
    assert _read(project, "chain", "2013-01-03") == ["2013-01-01", "2013-01-02"]
    _pipeline(project, "days", _DAYS)
    _pipeline(project, "reader", _DAYS, "days", _EARLIER)
    waits = project("run", "reader", "-p", "2013-01-01", "--with-upstream")
    assert waits.returncode == 5, "no window at all is a missing input"


def test_a_chain_longer_than_the_stack_of_python(project: Project) -> None:
    _pipeline(project, "chain", "{day: {every: day, start: 2010-01-01, end: 2012-12-31}}", "chain", "last(1)")
    plans = project.json("plan", "chain", "-p", "2012-12-31", "--with-upstream")["data"]["pipelines"]
    assert len(plans) == 1096
    assert plans[-1]["partition"] == "2012-12-31"


def test_what_ran_last_is_the_latest(project: Project) -> None:
    _pipeline(project, "days", _DAYS)
    for day in ("2013-01-04", "2013-01-02", "2013-01-03"):
        assert project("run", "days", "-p", day).returncode == 0
        (run,) = project.json("show", "@latest", schema="run")["data"]["runs"]
        assert run["partition"] == day
