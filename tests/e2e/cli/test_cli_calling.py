"""`cron` and `github`: documents that keep to their schemas, and words that make no sense. What they do is tried in tests/e2e/cron and github."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cli.conftest import Project


def test_documents_keep_to_their_schemas(project: Project) -> None:
    shown = project.json("cron", "show")["data"]
    assert (shown["installed"], shown["changed"], shown["differs"]) == (None, False, [])
    assert shown["block"] == project("cron", "show").stdout
    made = project.json("github", "show", "--action", "o/r@v1")["data"]["files"]
    assert [file["path"] for file in made] == [".github/workflows/mlorch.yml"]
    assert made[0]["text"] == project("github", "show", "--action", "o/r@v1").stdout
    missing = project.json("github", "check", "--exit-code", code=8)["data"]["files"]
    assert "is not there" in missing[0]["differs"][0]["what"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("cron",), 2),
        (("cron", "sing"), 2),
        (("github", "sing"), 2),
        (("github", "check", "demo"), 2),
        (("github", "show", "nope", "--action", "o/r@v1"), 2),
        (("github", "save"), 9),
        (("github", "restore"), 9),
    ],
)
def test_what_makes_no_sense_is_said(project: Project, words: tuple[str, ...], code: int) -> None:
    done = project(*words)
    assert done.returncode == code
    assert done.stderr.startswith("error: ") and "bug" not in done.stderr


def test_a_wrong_pipeline_makes_no_workflow(project: Project) -> None:
    (project.folder / "pipelines" / "demo.yaml").write_text("mlorch: 1\n", "utf-8")
    done = project("github", "show", "--action", "o/r@v1")
    assert (done.returncode, done.stdout) == (3, "")
