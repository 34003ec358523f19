"""`mlorch diff`: two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

TEXT = """\
mlorch: 1
name: fit
kind: training
owner: dana@example.org
params: {n: 3}
steps:
  train:
    run: python3 train.py ${{ params.n }}
    inputs: {data: data.txt}
    metrics: metrics.json
    values: {rows: integer}
  check: {run: 'test ${{ params.n }} -lt 5', needs: [train]}
"""
SCRIPT = """\
import json, os, sys
json.dump({"error": {"mean": int(sys.argv[1])}, "same": 1}, open(os.environ["MLORCH_METRICS"], "w"))
open(os.environ["MLORCH_VALUES"], "w").write("rows=" + sys.argv[1])
"""


def differs(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {row["what"]: (row["old"], row["new"]) for row in rows}


def test_what_two_runs_have_not_in_common(project: Project) -> None:
    spec = project.folder / "pipelines" / "fit.yaml"
    spec.write_text(TEXT, "utf-8")
    (project.folder / "train.py").write_text(SCRIPT, "utf-8")
    (project.folder / "data.txt").write_text("one\n", "utf-8")
    ids = []

    def run(*words: str) -> None:
        project("run", "fit", *words)
        ids.append(project.json("runs", schema="run")["data"]["runs"][0]["run_id"])

    run()
    (project.folder / "data.txt").write_text("two\n", "utf-8")
    (project.folder / "train.py").write_text(SCRIPT + "\n", "utf-8")
    spec.write_text(TEXT.replace("-lt 5", "-lt 6"), "utf-8")
    run("--param", "n=7")
    data = project.json("diff", *ids)["data"]
    assert data["runs"] == ids
    assert differs(data["differs"]) == {"state": ("succeeded", "failed"), "parameter n": ("3", "7")}
    train, check = data["steps"]
    found = differs(train["differs"])
    assert {name: found[name] for name in ("parameter n", "metrics.error.mean", "values.rows")} == dict.fromkeys(
        ("parameter n", "metrics.error.mean", "values.rows"), ("3", "7")
    )
    assert {"train.py", "data.txt"} <= found.keys() and "metrics.same" not in found
    assert (check["states"], check["differs"]) == (["succeeded", "failed"], [])
    assert [line for line in data["spec"] if line[0] in "+-"][2:] == [
        "-  check: {run: 'test ${{ params.n }} -lt 5', needs: [train]}",
        "+  check: {run: 'test ${{ params.n }} -lt 6', needs: [train]}",
    ]
    lines = project("diff", *ids).stdout.splitlines()
    assert lines[0].split() == ids
    assert ["metrics.error.mean", "3", "7"] in [line.split() for line in lines]
    run("--param", "n=3")
    back = project.json("diff", ids[0], ids[2])["data"]
    assert differs(back["steps"][0]["differs"]).keys() == {"train.py", "data.txt"}, "as it was when each run ended"
    same = project.json("diff", ids[1], ids[1])["data"]
    assert (same["differs"], same["spec"], [step["differs"] for step in same["steps"]]) == ([], [], [[], []])
    assert project("diff", ids[0], "nope").returncode == 2
