"""Partitions by values: listed, found by a glob, told by a command; several dimensions, and inputs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

HEAD = "mlorch: 1\nname: {name}\nkind: feature\nowner: dana@example.org\n"
FEATURES = """\
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-03, timezone: America/New_York}
  airport: {values: [EWR, JFK]}
steps:
  a:
    run: 'echo ${{ partition.key }} > ${{ outputs.x }}'
    outputs: {x: 'out/${{ partition.day }}/${{ partition.airport }}.txt'}
"""


def write(project: Project, name: str, body: str) -> None:
    (project.folder / "pipelines" / "demo.yaml").unlink(missing_ok=True)
    (project.folder / "pipelines" / f"{name}.yaml").write_text(HEAD.format(name=name) + body, "utf-8")


def keys(project: Project, *words: str, code: int = 0) -> list[str]:
    return [run["partition"] for run in project.json("run", *words, code=code)["data"]["runs"]]


def test_a_key_may_end_early_or_hold_a_star(project: Project) -> None:
    write(project, "feats", FEATURES)
    assert keys(project, "feats") == ["2013-01-03,EWR", "2013-01-03,JFK"]
    assert keys(project, "feats", "-p", "2013-01-01") == ["2013-01-01,EWR", "2013-01-01,JFK"]
    assert keys(project, "feats", "-p", "*,JFK") == ["2013-01-01,JFK", "2013-01-02,JFK", "2013-01-03,JFK"]
    wrong = project("run", "feats", "-p", "2013-01-01,LAX")
    assert wrong.returncode == 2
    assert "use one of EWR, JFK" in wrong.stderr
    assert project("run", "feats", "-p", "2013-01-01,EWR,x").returncode == 2
    counts = project.json("status", "feats")["data"]["pipelines"][0]["partitions"]
    assert counts == {"total": 6, "done": 5, "missing": 1, "failed": 0, "stale": 0, "running": 0}
    back = project.json("backfill", "feats", "--last", "2")["data"]
    assert back["counts"] == {"total": 4, "succeeded": 1, "done": 3}
    assert (project.folder / "out/2013-01-02/EWR.txt").read_text() == "2013-01-02,EWR\n"


def test_labels_of_files_and_of_equal_names_upstream(project: Project) -> None:
    write(project, "feats", FEATURES)
    write(
        project,
        "byport",
        "partitions:\n  airport: {glob: 'ports/*.csv'}\nsteps:\n  a:\n    run: 'cat ${{ inputs.f }} > ${{ outputs.x }}'\n"
        "    inputs: {f: {pipeline: feats, output: x, partitions: all}}\n    outputs: {x: 'by/${{ partition.airport }}.txt'}\n",
    )
    (project.folder / "ports").mkdir()
    for name in ("EWR", "JFK"):
        (project.folder / "ports" / f"{name}.csv").touch()
    assert project("backfill", "feats", "-q").returncode == 0
    assert keys(project, "byport") == ["EWR", "JFK"]
    assert (project.folder / "by/JFK.txt").read_text().split() == [f"2013-01-0{day},JFK" for day in (1, 2, 3)]


def test_a_command_is_called_by_run_only_and_remembered(project: Project) -> None:
    write(
        project,
        "told",
        "partitions:\n  port: {command: 'echo called >> calls; printf \"EWR\\nJFK\\n\"'}\nsteps:\n  a:\n"
        "    run: 'echo ${{ partition.port }} > ${{ outputs.x }}'\n    outputs: {x: 'told/${{ partition.port }}.txt'}\n",
    )
    calls = project.folder / "calls"
    assert project("plan", "told").returncode == 5
    assert not calls.exists()
    assert keys(project, "told") == ["EWR", "JFK"]
    assert calls.read_text() == "called\n"
    status = project("status", "told")
    assert "2 done" in status.stdout
    assert "as its command said" in status.stderr
    assert calls.read_text() == "called\n"
    write(
        project,
        "bad",
        "partitions:\n  port: {command: 'echo a,b'}\nsteps:\n  a:\n    run: 'echo ${{ partition.port }} > ${{ outputs.x }}'\n    outputs: {x: 'bad/${{ partition.port }}.txt'}\n",
    )
    wrong = project("run", "bad")
    assert wrong.returncode == 3
    assert "E421" in wrong.stderr


SHARED = """\
partitions:
  port: {glob: 'ports/*.csv'}
steps:
  a:
    run: 'echo ${{ partition.key }} | tee -a ran > ${{ outputs.x }}'
    outputs: {x: 'by/${{ partition.port[0] }}.txt'}
"""


def test_partitions_of_one_command_that_would_write_one_path_are_refused_before_any_runs(project: Project) -> None:
    write(project, "byport", SHARED)
    (project.folder / "ports").mkdir()
    for name in ("EWR", "JFK", "ELP"):
        (project.folder / "ports" / f"{name}.csv").touch()
    assert project("validate").returncode == 0  # which labels there are is not known there
    for words in (("run", "byport", "-p", "*"), ("backfill", "byport"), ("plan", "byport", "-p", "*")):
        refused = project(*words)
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert "E408" in refused.stderr
        assert "the partitions `ELP` and `EWR` would both write by/E.txt" in refused.stderr
        assert "put `${{ partition.port }}` into the path" in refused.stderr
    assert not (project.folder / "ran").exists()
    assert project("run", "byport", "-p", "EWR", "-p", "JFK").returncode == 0


def test_a_tick_runs_the_others_where_two_partitions_would_write_one_path(project: Project) -> None:
    write(
        project, "byport", SHARED.replace("partitions:", "schedule: {cron: '0 6 * * *', catchup: latest}\npartitions:")
    )
    (project.folder / "ports").mkdir()
    for name in ("EWR", "JFK", "ELP"):
        (project.folder / "ports" / f"{name}.csv").touch()
    ticked = project("tick")
    assert "would both write by/E.txt" in ticked.stdout + ticked.stderr
    assert ticked.returncode == 3
    assert sorted((project.folder / "ran").read_text().split()) == ["ELP", "JFK"]
