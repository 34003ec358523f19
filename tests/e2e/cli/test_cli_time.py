"""Schedules, triggers and marks through the command, at times that the test chooses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

NOON = 1792497600
"""2026-10-20T12:00Z."""
HEAD = "mlorch: 1\nname: {name}\nkind: {kind}\nowner: dana@example.org\n"
DAILY = """\
schedule: {cron: '30 2 * * *', timezone: ZONE, catchup: CATCHUP}
partitions:
  day: {every: day, start: 2026-10-01, timezone: ZONE}
steps:
  a:
    run: 'echo ${{ partition.day }} >> ran; test ! -e broken; echo 1 > ${{ outputs.x }}'
    outputs: {x: 'out/${{ partition.day }}.txt'}
"""


def write(project: Project, name: str, body: str, kind: str = "feature") -> None:
    (project.folder / "pipelines" / "demo.yaml").unlink(missing_ok=True)
    (project.folder / "pipelines" / f"{name}.yaml").write_text(HEAD.format(name=name, kind=kind) + body, "utf-8")


def daily(project: Project, catchup: str = "all, catchup_limit: 2", zone: str = "Europe/Berlin") -> None:
    write(project, "daily", DAILY.replace("ZONE", zone).replace("CATCHUP", catchup))


def ran(project: Project, name: str = "ran") -> list[str]:
    file = project.folder / name
    lines = sorted(file.read_text().split()) if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def tick(project: Project, now: str, code: int = 0) -> str:
    done = project("tick", "--now", now)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_pipeline_seen_first_takes_the_newest_and_leaves_the_rest_to_backfill_once(project: Project) -> None:
    daily(project)
    assert "missed 17 (2026-10-01 to 2026-10-17)" in tick(project, "2026-10-20T12:00")
    assert ran(project) == ["2026-10-18", "2026-10-19"]
    assert tick(project, "2026-10-20T12:01") == ""
    assert tick(project, "2026-10-21T00:29") == ""
    tick(project, "2026-10-21T00:30")
    assert ran(project) == ["2026-10-20"]


@pytest.mark.parametrize(
    ("catchup", "wanted", "left"),
    [("all", [f"2026-10-{day}" for day in range(20, 27)], ""), ("all, catchup_limit: 2", ["2026-10-25", "2026-10-26"], "missed 5"), ("latest", ["2026-10-26"], "missed 6"), ("none", [], "missed 7")],
)  # fmt: skip
def test_a_week_without_ticks(project: Project, catchup: str, wanted: list[str], left: str) -> None:
    daily(project, catchup)
    tick(project, "2026-10-20T12:00")
    ran(project)
    assert left in tick(project, "2026-10-27T12:00")
    assert ran(project) == wanted
    assert tick(project, "2026-10-27T13:00") == ""
    tick(project, "2026-10-28T12:00")
    assert ran(project) == ["2026-10-27"]


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("Europe/Berlin", ("2026-03-29", "2026-10-25")),
        ("America/New_York", ("2026-03-08", "2026-11-01")),
        ("Australia/Lord_Howe", ("2026-04-05", "2026-10-04")),
    ],
)
def test_every_day_of_a_year_is_due_once_also_when_the_clock_is_set(
    project: Project, zone: str, changes: tuple[str, str]
) -> None:
    write(
        project,
        "daily",
        DAILY.replace("ZONE", zone)
        .replace("CATCHUP", "all")
        .replace("2026-10-01", "2025-01-01")
        .replace("30 2", "15 2"),
    )
    ticks = project.json("next", "daily", "--simulate", "2026-01-02", "2027-01-02")["data"]["ticks"]
    days = [key for found in ticks for key in found["partitions"]]
    assert len(days) == len(set(days)) == 365
    assert days == sorted(days)
    odd = [found["at_local"][:10] for found in ticks if found["note"]]
    assert set(odd) <= set(changes)
    assert odd


def test_a_failed_window_is_tried_again_at_the_next_tick_and_not_before(project: Project) -> None:
    daily(project)
    tick(project, "2026-10-20T12:00")
    ran(project)
    (project.folder / "broken").touch()
    tick(project, "2026-10-21T12:00", code=1)
    assert tick(project, "2026-10-21T12:01") == ""
    assert ran(project) == ["2026-10-20"]
    tick(project, "2026-10-22T12:00", code=1)
    assert ran(project) == ["2026-10-20", "2026-10-21"]
    (project.folder / "broken").unlink()
    assert "given up" in tick(project, "2026-10-23T12:00")
    assert ran(project) == ["2026-10-21", "2026-10-22"]
    row = project.json("status", "daily", "--now", "2026-10-23T12:00")["data"]["pipelines"][0]
    assert row["partitions"] == {"total": 22, "done": 4, "missing": 17, "failed": 1, "stale": 0, "running": 0}


def test_two_ticks_at_once_do_everything_once(project: Project) -> None:
    daily(project)
    (project.folder / "broken").touch()
    words = [sys.executable, "-m", "mlorch", "tick", "--now", "2026-10-20T12:00"]
    both = [subprocess.Popen(words, cwd=project.folder, env=project.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]  # fmt: skip
    assert sorted({done.wait(60) for done in both}) in ([0, 1], [1])
    assert ran(project) == ["2026-10-18", "2026-10-19"]


def test_a_changed_line_repeats_nothing(project: Project) -> None:
    daily(project)
    tick(project, "2026-10-20T12:00")
    ran(project)
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(file.read_text().replace("30 2 * * *", "0 */2 * * *"))
    tick(project, "2026-10-20T12:30")
    tick(project, "2026-10-20T14:30")
    assert ran(project) == []
    tick(project, "2026-10-21T12:30")
    assert ran(project) == ["2026-10-20"]


def test_the_clock_going_backwards_is_survived(project: Project) -> None:
    daily(project)
    tick(project, "2026-10-20T12:00")
    ran(project)
    assert tick(project, "2026-10-10T12:00") == ""
    tick(project, "2026-10-21T12:00")
    assert ran(project) == ["2026-10-20"]


def test_without_windows_a_tick_makes_the_first_steps_stale_once(project: Project) -> None:
    write(
        project,
        "report",
        "schedule: '@daily'\nsteps:\n  a:\n    run: 'echo a >> ran; echo same > ${{ outputs.x }}'\n    outputs: {x: a.txt}\n"
        "  b:\n    run: 'echo b >> ran; cat ${{ steps.a.outputs.x }} > ${{ outputs.x }}'\n    outputs: {x: b.txt}\n",
        "training",
    )
    tick(project, "2026-10-20T12:00")
    assert ran(project) == ["a", "b"]
    assert tick(project, "2026-10-20T18:00") == ""
    done = project.json("tick", "--now", "2026-10-21T12:00")["data"]["runs"][0]
    assert [(step["state"], step["reason"]) for step in done["steps"]] == [
        ("succeeded", "due"),
        ("cached", "unchanged"),
    ]
    assert ran(project) == ["a"]


def test_downstream_follows_in_the_same_tick_and_again_when_its_source_changes(project: Project) -> None:
    daily(project)
    write(
        project,
        "scores",
        "triggers: [{pipeline: daily}]\npartitions:\n  day: {every: day, start: 2026-10-01, timezone: Europe/Berlin}\n"
        "steps:\n  s:\n    run: 'echo ${{ partition.day }} >> scored; cat ${{ inputs.f }} > ${{ outputs.x }}'\n"
        "    inputs: {f: {pipeline: daily, output: x}}\n    outputs: {x: 'scores/${{ partition.day }}.txt'}\n",
        "inference",
    )
    tick(project, "2026-10-20T12:00")
    assert ran(project, "scored") == ["2026-10-18", "2026-10-19"]
    assert tick(project, "2026-10-20T12:01") == ""
    project("backfill", "daily", "-p", "2026-10-05", "--now", "2026-10-20T12:00")
    tick(project, "2026-10-20T12:02")
    assert ran(project, "scored") == ["2026-10-05"]
    assert tick(project, "2026-10-20T12:03") == ""


def test_files_that_arrive_count_once_and_when_they_are_quiet(project: Project) -> None:
    write(
        project,
        "intake",
        "triggers: [{data: {glob: 'in/*.csv', marker: _DONE}}]\nsteps:\n  a:\n"
        "    run: 'cat ${{ inputs.all }} | wc -l > ${{ outputs.n }}; echo x >> ran'\n    inputs: {all: 'in/*.csv'}\n    outputs: {n: n.txt}\n",
    )
    (project.folder / "in").mkdir()
    (project.folder / "in" / "a.csv").write_text("1\n")
    assert tick(project, "2026-10-20T12:00") == ""
    (project.folder / "in" / "_DONE").touch()
    tick(project, "2026-10-20T12:01")
    tick(project, "2026-10-20T12:02")
    assert ran(project) == ["x"]
    (project.folder / "in" / "b.csv").write_text("2\n")
    tick(project, "2026-10-20T12:03")
    assert ran(project) == ["x"]
    assert (project.folder / "n.txt").read_text().strip() == "2"


def test_a_number_that_passes_its_bound_counts_once(project: Project) -> None:
    write(
        project,
        "drift",
        "triggers: [{command: {run: cat drift, above: 0.2}}]\nsteps:\n  a:\n    run: 'echo x >> ran; echo y > ${{ outputs.x }}'\n    outputs: {x: x.txt}\n",
        "training",
    )
    for value, wanted in (("0.1", []), ("0.3", ["x"]), ("0.4", []), ("0.1", []), ("0.5", ["x"])):
        (project.folder / "drift").write_text(value)
        tick(project, "2026-10-20T12:00")
        assert ran(project) == wanted, value
    (project.folder / "drift").write_text("no number")
    assert "no number" in tick(project, "2026-10-20T12:00", code=1)


def looked(project: Project, name: str, *words: str) -> dict[str, Any]:
    """The trigger and the due keys that `why` and `status` both tell of."""
    why = project.json("why", name, "a", *words)["data"]
    row = project.json("status", name, *words)["data"]["pipelines"][0]
    assert (why["triggers"], why["due"]) == (row["triggers"], row["due"])
    return {**row["triggers"][0], "due": row["due"]}


def test_why_and_status_say_which_files_are_there_and_which_are_awaited(project: Project) -> None:
    write(
        project,
        "intake",
        "triggers: [{data: {glob: 'in/*', marker: _DONE, quiet_for: 60s}}]\nsteps:\n  a:\n"
        "    run: 'ls in/*; echo 1 > ${{ outputs.n }}'\n    outputs: {n: n.txt}\n",
    )
    folder = project.folder / "in"
    for name, age in (("a", 0), ("b", 90)):
        (folder / name).mkdir(parents=True)
        (folder / name / "part").touch()
        for path in (folder / name / "part", folder / name):
            os.utime(path, (NOON - age, NOON - age))
    at = ("--now", "2026-10-20T12:00:30")
    trigger = looked(project, "intake", *at)
    assert (trigger["kind"], trigger["watches"], trigger["counted"], trigger["new"]) == ("data", "in/*", 0, [])
    assert trigger["awaited"] == [{"what": f"in/{name}", "reason": "its marker _DONE is not there"} for name in "ab"]
    for name, age in (("a", 0), ("b", 90)):
        (folder / name / "_DONE").touch()
        for path in (folder / name / "_DONE", folder / name):
            os.utime(path, (NOON - age, NOON - age))
    waits = {"what": "in/a", "reason": "it changed 30 s ago and counts after 60 s of quiet"}
    trigger = looked(project, "intake", *at)
    assert (trigger["new"], trigger["awaited"]) == (["in/b"], [waits])
    tick(project, at[1])
    trigger = looked(project, "intake", *at)
    assert (trigger["counted"], trigger["new"], trigger["awaited"], trigger["due"]) == (1, [], [waits], [])
    said = project("why", "intake", "a", *at).stdout.splitlines()[-1]
    assert said == f"trigger data in/*: 1 counted; awaited: in/a ({waits['reason']})"
    assert f"intake: {said}" in project("status", *at).stdout.splitlines()


def test_why_and_status_say_which_partitions_of_another_pipeline_are_there(project: Project) -> None:
    daily(project)
    write(
        project,
        "weekly",
        "triggers: [{pipeline: daily}]\npartitions:\n  week: {every: week, start: 2026-W41, timezone: Europe/Berlin}\n"
        "steps:\n  a:\n    run: 'echo ${{ inputs.f }} > ${{ outputs.x }}'\n"
        "    inputs: {f: {pipeline: daily, output: x, partitions: last(7)}}\n    outputs: {x: 'weeks/${{ partition.week }}.txt'}\n",
        "inference",
    )
    at = ("--now", "2026-10-13T12:00")
    assert looked(project, "weekly", *at)["counted"] == 0
    assert "weekly: trigger pipeline daily: 0 counted; nothing is there yet" in project("status", *at).stdout
    for day in ("11", "12"):
        assert project("run", "daily", "-p", f"2026-10-{day}", *at).returncode == 0
    (project.folder / "broken").touch()
    project("run", "daily", "-p", "2026-10-10", *at)
    trigger = looked(project, "weekly", *at)
    assert trigger["new"] == ["2026-10-11"]
    assert trigger["awaited"] == [
        {"what": "2026-10-10", "reason": "its last run: failed"},
        {"what": "2026-10-12", "reason": "its window here is open until 2026-10-18T22:00Z"},
    ]
    project("tick", *at)
    trigger = looked(project, "weekly", *at)
    assert (trigger["counted"], trigger["new"]) == (1, [])
    assert trigger["due"] == [
        {"key": "2026-W41", "since": "2026-10-13T12:00:00.000Z", "by": "pipeline:daily", "state": "not_ready"}
    ]
    assert "due: 2026-W41 since 2026-10-13T12:00Z (awaits its data)" in project("why", "weekly", "a", *at).stdout


def test_why_and_status_say_what_a_command_said_last_without_calling_it(project: Project) -> None:
    write(
        project,
        "drift",
        "triggers: [{command: {run: 'echo asked >> calls; cat drift', above: 0.2}}]\nsteps:\n  a:\n    run: 'echo y > ${{ outputs.x }}'\n    outputs: {x: x.txt}\n",
        "training",
    )
    (project.folder / "drift").write_text("0.1\n")
    assert looked(project, "drift")["said"] is None
    tick(project, "2026-10-20T12:00")
    calls = (project.folder / "calls").read_text()
    (project.folder / "drift").write_text("0.3\n")
    trigger = looked(project, "drift")
    assert (trigger["watches"], trigger["said"]) == ("echo asked >> calls; cat drift (due above 0.2)", "0.1")
    why = project("why", "drift", "a")
    assert "it said 0.1" in why.stdout and "its trigger: as its command said" in why.stderr
    assert (project.folder / "calls").read_text() == calls


def test_paused_and_resumed(project: Project) -> None:
    daily(project)
    tick(project, "2026-10-20T12:00")
    ran(project)
    assert project.json("pause", "daily", "--reason", "moving")["data"]["paused"] is True
    assert tick(project, "2026-10-25T12:00") == ""
    row = project.json("status", "daily", "--now", "2026-10-25T12:00")["data"]["pipelines"][0]
    assert (row["health"], row["reasons"]) == (
        "paused",
        ["paused: moving", "left to backfill since 2026-10-20T00:30Z: 17 (2026-10-01 to 2026-10-17)"],
    )
    news = project.json("resume", "daily", "--now", "2026-10-25T12:00")["data"]
    assert (news["ticks"], news["due"], news["missed"]["count"]) == (5, ["2026-10-23", "2026-10-24"], 3)
    tick(project, "2026-10-25T12:00")
    assert ran(project) == ["2026-10-23", "2026-10-24"]


def test_marks_are_kept_and_end_with_a_run_that_succeeds(project: Project) -> None:
    daily(project)
    at = ("--now", "2026-10-05T12:00")
    assert project("backfill", "daily", *at).returncode == 0
    assert ran(project) == ["2026-10-01", "2026-10-02", "2026-10-03", "2026-10-04"]
    project.json("mark", "daily", "-p", "2026-10-02", "--as", "missing", "--reason", "the source was corrected", *at)
    back = project.json("backfill", "daily", *at)["data"]["partitions"]
    assert [(row["key"], row["state"]) for row in back if row["action"] == "run"] == [("2026-10-02", "succeeded")]
    assert ran(project) == ["2026-10-02"]
    assert project.json("backfill", "daily", *at)["data"]["counts"] == {"total": 4, "done": 4}
    later = ("--now", "2026-10-06T12:00")
    project.json("mark", "daily", "-p", "2026-10-05", "--as", "done", "--reason", "the airport was closed", *later)
    assert project.json("backfill", "daily", *later)["data"]["counts"] == {"total": 5, "done": 5}
    assert project("mark", "daily", "-p", "2026-10-05", "--as", "late", "--reason", "x", *later).returncode == 2
    assert project("mark", "daily", "--as", "done", "--reason", "x", *later).returncode == 2, "which one?"


def test_a_pipeline_without_partitions_is_marked_as_a_whole(project: Project) -> None:
    write(
        project,
        "report",
        "steps:\n  a:\n    run: 'echo a >> ran; echo 1 > ${{ outputs.x }}'\n    outputs: {x: a.txt}\n",
    )
    project("run", "report")
    assert ran(project) == ["a"]
    said = project("mark", "report", "--as", "missing", "--reason", "wrong source").stdout
    assert said == "report: marked as missing: wrong source\n"
    assert "wrong source" in project("why", "report", "a").stdout
    project("run", "report")
    assert ran(project) == ["a"]
    assert "nothing to do" in project("run", "report").stdout


def test_a_deadline_that_passed_is_late(project: Project) -> None:
    daily(project)
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(file.read_text() + "deadline: 2h\n")
    tick(project, "2026-10-20T12:00")
    health = {
        now: project.json("status", "daily", "--now", now)["data"]["pipelines"][0]["health"]
        for now in ("2026-10-20T12:00", "2026-10-21T02:00", "2026-10-21T03:00")
    }
    assert list(health.values()) == ["ok", "ok", "late"]


def test_what_is_left_to_backfill_is_what_is_missing_still(project: Project) -> None:
    daily(project)
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(file.read_text() + "    inputs: {i: 'in/${{ partition.day }}.csv'}\n")
    (project.folder / "in").mkdir()

    def left(now: str) -> list[str]:
        reasons = project.json("status", "daily", "--now", now)["data"]["pipelines"][0]["reasons"]
        return [reason.partition(": ")[2] for reason in reasons if reason.startswith("left to backfill since")]

    tick(project, "2026-10-04T12:00")
    assert left("2026-10-04T12:00") == ["1 (2026-10-01)"]
    tick(project, "2026-10-05T12:00")
    tick(project, "2026-10-06T12:00")
    assert left("2026-10-06T12:00") == ["3 (2026-10-01 to 2026-10-03)"], "two were given up"
    for day in (1, 3):
        (project.folder / "in" / f"2026-10-0{day}.csv").touch()
    assert project("backfill", "daily", "--to", "2026-10-03", "--now", "2026-10-06T12:00").returncode == 5
    assert left("2026-10-06T12:00") == ["1 (2026-10-02)"]
    project(
        "mark", "daily", "-p", "2026-10-02", "--as", "done", "--reason", "there is none", "--now", "2026-10-06T12:00"
    )
    assert left("2026-10-06T12:00") == []


def test_run_due_is_a_tick_of_what_is_named(project: Project) -> None:
    daily(project)
    done = project("run", "daily", "--due", "--now", "2026-10-20T12:00")
    assert done.returncode == 0, done.stderr
    assert ran(project) == ["2026-10-18", "2026-10-19"]
    assert project("run", "daily", "--due", "--now", "2026-10-20T12:00").stdout == ""
    assert project("run", "daily", "--due", "-p", "2026-10-01").returncode == 2


def test_the_documents_of_time_keep_to_their_schemas(project: Project) -> None:
    daily(project)
    document = project.json("next", "--now", "2026-10-24T12:00")
    found = document["data"]["ticks"][0]
    assert (found["at"], found["at_local"], found["partitions"]) == (
        "2026-10-25T00:30:00.000Z",
        "2026-10-25T02:30:00+02:00",
        ["2026-10-24"],
    )
    assert "twice" in found["note"]
    assert project.json("tick", "--now", "2026-10-24T12:00")["data"]["runs"]
    assert json.dumps(
        project.json("status", "--now", "2026-10-24T12:00")["data"]["pipelines"][0]["next"]
    ) == json.dumps(found)


def test_that_nothing_is_due_is_known_without_looking_and_forgotten_when_something_changes(project: Project) -> None:
    daily(project)
    tick(project, "2026-10-20T12:00")
    tick(project, "2026-10-20T12:01")
    kept = project.folder / ".mlorch" / "cache" / "idle.json"
    assert json.loads(kept.read_text())["until"] == "2026-10-21T00:30:00.000Z"
    ran(project)
    assert tick(project, "2026-10-20T12:02") == ""
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(file.read_text().replace("30 2 * * *", "0 13 * * *"))
    tick(project, "2026-10-20T12:03")
    assert json.loads(kept.read_text())["until"] == "2026-10-21T11:00:00.000Z"
    (project.folder / "pipelines" / "broken.yaml").write_text("mlorch: 1\n")
    assert "E202" in tick(project, "2026-10-20T12:04", code=3)
    (project.folder / "pipelines" / "broken.yaml").unlink()
    project("pause", "daily")
    kept.write_text("{")
    assert tick(project, "2026-10-22T12:00") == ""
    project("resume", "daily")
    tick(project, "2026-10-22T12:00")
    assert ran(project) == ["2026-10-20", "2026-10-21"]


def test_a_tick_that_was_killed_is_taken_up_by_the_next(project: Project) -> None:
    daily(project)
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(
        file.read_text().replace("test ! -e broken", "if test -e block; then rm block; echo > started; cat go; fi")
    )
    for name in ("started", "go"):
        os.mkfifo(project.folder / name)
    (project.folder / "block").touch()
    words = [sys.executable, "-m", "mlorch", "tick", "--now", "2026-10-20T12:00", "-j", "1", "-q"]
    first = subprocess.Popen(words, cwd=project.folder, env=project.env, stderr=subprocess.DEVNULL)
    (project.folder / "started").read_text()
    first.kill()
    first.wait()
    assert ran(project) == ["2026-10-18"]
    (project.folder / "go").write_text("")
    assert project("run", "daily", "-p", "2026-10-18", "--now", "2026-10-20T12:00").returncode == 0
    tick(project, "2026-10-20T12:01")
    assert ran(project) == ["2026-10-19"], "the step that outlived it was adopted, the other window was not forgotten"
    assert tick(project, "2026-10-20T12:02") == ""


def test_a_tick_is_silent_while_data_is_awaited_and_runs_when_it_is_there(project: Project) -> None:
    daily(project)
    file = project.folder / "pipelines" / "daily.yaml"
    file.write_text(file.read_text() + "    inputs: {i: 'in/${{ partition.day }}.csv'}\n")
    (project.folder / "in").mkdir()
    tick(project, "2026-10-20T12:00")
    assert tick(project, "2026-10-20T12:01") == ""
    assert "2026-10-18 not done and given up" in tick(project, "2026-10-21T12:00")
    assert project("run", "daily", "--due", "--now", "2026-10-21T12:01").returncode == 5
    assert project.json("runs", schema="run")["data"]["runs"] == []
    (project.folder / "in" / "2026-10-20.csv").touch()
    tick(project, "2026-10-21T12:02")
    assert ran(project) == ["2026-10-20"]


def test_a_run_knows_the_tick_that_caused_it_and_is_not_made_again_by_it(project: Project) -> None:
    told = "${{ run.scheduled_at if run.scheduled_at != null else ''nobody'' }}"
    body = DAILY.replace("ZONE", "Europe/Berlin").replace("CATCHUP", "latest")
    write(project, "daily", body.replace("echo ${{ partition.day }}", f"echo {told}"))
    tick(project, "2026-10-20T12:00")
    assert ran(project) == ["2026-10-20T02:30:00+02:00"]
    assert tick(project, "2026-10-21T00:00") == ""
    assert project("run", "daily", "--due", "--now", "2026-10-26T12:00").returncode == 0
    assert ran(project) == ["2026-10-26T02:30:00+01:00"]
    assert project("run", "daily", "-p", "2026-10-25", "--now", "2026-10-26T12:00").returncode == 0
    assert ran(project) == [], "it is done, whoever asks"
    assert project("run", "daily", "-p", "2026-10-01", "--now", "2026-10-26T12:00").returncode == 0
    assert ran(project) == ["nobody"]
