"""A secret stands in no file of ours, whatever a step writes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project

SECRET = "s3cret-of-a-test-that-is-longer-than-a-line-of-base64-which-tools-wrap-at-76-columns/+"
TEXT = """\
mlorch: 1
name: hush
kind: training
owner: dana@example.org
secrets: {TOKEN: {env: HUSH_TOKEN}}
steps:
  value:
    run: 'echo "v=$TOKEN" >> "$MLORCH_VALUES"; echo "# $TOKEN" >> "$MLORCH_SUMMARY"; echo "$TOKEN"'
    secrets: [TOKEN]
    values: {v: string}
  fails:
    run: 'echo "v=$TOKEN" >> "$MLORCH_VALUES"; exit 4'
    secrets: [TOKEN]
    values: {v: string}
  summary:
    run: 'echo "# $TOKEN" >> "$MLORCH_SUMMARY"; printf "%s" "$TOKEN" | base64 >> "$MLORCH_SUMMARY"'
    secrets: [TOKEN]
  encoded:
    run: 'echo "user:$TOKEN" | base64 -w 64; echo "$TOKEN" | base64; printf "%s" "$TOKEN" | od -An -tx1 -v | tr -d " "'
    secrets: [TOKEN]
  metrics:
    run: 'printf "{\"m\": \"%s\"}" "$(printf "%s" "$TOKEN" | base64 -w 0)" > "$MLORCH_METRICS"'
    secrets: [TOKEN]
    metrics: out/m.json
"""


def test_secrets_are_in_no_file_of_the_state(project: Project) -> None:
    (project.folder / "pipelines" / "hush.yaml").write_text(TEXT, "utf-8")
    done = project("run", "hush", HUSH_TOKEN=SECRET)
    assert done.returncode == 1
    assert "holds the secret TOKEN" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    coded = base64.b64encode(SECRET.encode())
    for leak in (SECRET.encode(), coded[8:40], coded[50:90], SECRET.encode().hex()[8:24].encode()):
        assert [str(path) for path in files if leak in path.read_bytes()] == []
    summaries = [path.read_text("utf-8") for path in files if path.name == "summary.1.summary"]
    assert summaries == ["# ***\n***\n"]
    (log,) = [path.read_text("utf-8") for path in files if path.name == "encoded.1.log"]
    assert log.count("***") == 3


def test_all_missing_secrets_are_told_at_once_where_they_are_used(project: Project) -> None:
    text = TEXT.replace("secrets: {TOKEN", "secrets: {KEY: {file: none.txt}, TOKEN").replace("[TOKEN]", "[TOKEN, KEY]")
    (project.folder / "pipelines" / "hush.yaml").write_text(text, "utf-8")
    done = project("run", "hush")
    assert done.returncode == 3
    assert "pipelines/hush.yaml:7:3: error E420: the secret TOKEN" in done.stderr
    assert "pipelines/hush.yaml:7:3: error E420: the secret KEY" in done.stderr
    assert done.stderr.count("    7 |   value:\n      |   ^^^^^\n      = help: ") == 2
    assert not list(project.folder.glob(".mlorch/runs/*")), "nothing ran"
