"""Real ticks on the days on which the clock is set, and after a week in which nobody ticked."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

PIPELINE = """\
mlorch: 1
name: NAME
kind: feature
owner: dana@example.org
schedule: {cron: 'CRON', timezone: ZONE, catchup: all, catchup_limit: 5}
partitions:
  t: {every: EVERY, start: 2026-01-01, timezone: ZONE}
steps:
  a:
    run: echo ${{ partition.start }} ${{ partition.end }} >> ran-NAME; echo ${{ partition.t }} > ${{ outputs.x }}
    outputs: {x: 'out/NAME/${{ partition.t }}.txt'}
"""


def write(project: Project, zone: str) -> None:
    for name, every, cron in (("days", "day", "30 2 * * *"), ("hours", "hour", "5 * * * *"), ("own", "'0 */3 * * *'", "1 */3 * * *")):  # fmt: skip
        text = PIPELINE.replace("NAME", name).replace("CRON", cron).replace("EVERY", every).replace("ZONE", zone)
        (project.folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")


def ran(project: Project, name: str) -> list[tuple[datetime, datetime]]:
    """The windows that really ran, by their begin."""
    lines = [line.split() for line in (project.folder / f"ran-{name}").read_text("utf-8").splitlines()]
    return sorted((datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in lines)


@pytest.mark.parametrize(
    ("zone", "change", "hours", "days"),
    [
        ("America/New_York", "2026-03-08T07:00+00:00", [1.0] * 6, [24.0, 23.0]),
        ("Europe/Berlin", "2026-10-25T01:00+00:00", [1.0] * 6, [24.0, 25.0]),
        ("Australia/Lord_Howe", "2026-10-03T15:30+00:00", [1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0], [24.0, 23.5]),
    ],
)
def test_each_window_around_a_change_of_the_clock_runs_once(
    project: Project, zone: str, change: str, hours: list[float], days: list[float]
) -> None:
    write(project, zone)
    moment = datetime.fromisoformat(change)
    begin = (moment - timedelta(hours=3)).replace(minute=0)
    # Known and up to date; then every half hour, and once more a day later.
    assert project("tick", "--now", (begin + timedelta(minutes=10)).isoformat(), "-q").returncode == 0
    for name in ("days", "hours", "own"):
        (project.folder / f"ran-{name}").unlink()
    at = begin + timedelta(minutes=40)
    while at < begin + timedelta(hours=6, minutes=30):
        done = project("tick", "--now", at.isoformat())
        assert done.returncode == 0, done.stdout + done.stderr
        assert "missed" not in done.stdout + done.stderr
        at += timedelta(minutes=30)
    windows = ran(project, "hours")
    assert [(end - start) / timedelta(hours=1) for start, end in windows] == hours
    assert all(one[1] == other[0] for one, other in pairwise(windows))
    project("tick", "--now", (moment + timedelta(days=1, hours=1)).isoformat(), "-q")
    assert [(end - start) / timedelta(hours=1) for start, end in ran(project, "days")] == days
    own = ran(project, "own")
    assert len(own) == len(set(own)) >= 2


def test_a_week_in_the_dark_over_a_change_of_the_clock(project: Project) -> None:
    write(project, "Europe/Berlin")
    project("tick", "--now", "2026-10-22T12:00", "-q")
    for name in ("days", "hours", "own"):
        (project.folder / f"ran-{name}").unlink()
    done = project("tick", "--now", "2026-10-29T12:00")
    assert done.returncode == 0
    said = done.stdout + done.stderr
    assert "days: missed 2 (2026-10-22 to 2026-10-23): 7 ticks came while nobody looked (catchup: all)" in said
    assert "hours: missed 163 (2026-10-22T13+0200 to 2026-10-29T06+0100): 168 ticks came" in said
    assert [start.date().isoformat() for start, _ in ran(project, "days")] == [
        f"2026-10-{day}" for day in range(24, 29)
    ]
    assert [start.hour for start, _ in ran(project, "hours")] == [7, 8, 9, 10, 11]
    assert project("tick", "--now", "2026-10-29T12:01").stdout == ""
    back = project.json("backfill", "days", "--from", "2026-10-22", "--now", "2026-10-29T12:01")["data"]["partitions"]
    assert [row["key"] for row in back if row["action"] == "run"] == ["2026-10-22", "2026-10-23"]
