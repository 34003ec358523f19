"""`mlorch init`: a project that runs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlorch.spec import schemas

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli.conftest import Project


@pytest.fixture
def empty(project: Project) -> Project:
    (project.folder / "pipelines" / "demo.yaml").unlink()
    (project.folder / "pipelines").rmdir()
    return project


def files(folder: Path) -> list[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.startswith(".mlorch/"))


@pytest.mark.parametrize("template", ["standard", "minimal"])
def test_it_runs_at_once(empty: Project, template: str) -> None:
    made = empty.json("init", "--template", template)["data"]
    assert (made["folder"], made["template"], made["files"]) == (str(empty.folder), template, files(empty.folder))
    assert ".gitignore" in made["files"]
    checked = empty("validate", "--strict")
    assert checked.returncode == 0, checked.stdout
    first = empty("run", "*")
    assert first.returncode == 0, first.stdout
    again = empty.json("run", "*")["data"]["runs"]
    assert {step["state"] for run in again for step in run["steps"]} == {"cached"}
    kinds = {row["kind"] for row in empty.json("status")["data"]["pipelines"]}
    assert kinds == ({"feature", "training", "inference"} if template == "standard" else {"training"})
    for path in (empty.folder / "pipelines").iterdir():
        first_line = path.read_text("utf-8").splitlines()[0]
        assert first_line == "# yaml-language-server: $schema=../schemas/pipeline.schema.json"
        assert (path.parent / first_line.partition("=")[2]).read_text("utf-8") == schemas.text("pipeline")


def test_a_folder_that_is_not_there(empty: Project) -> None:
    done = empty("init", "a b/shop")
    assert done.returncode == 0
    commands = [line.strip() for line in done.stdout.partition("Go on with:\n")[2].splitlines()]
    assert commands[0] == f"cd '{empty.folder}/a b/shop'"
    assert empty.shell(" && ".join(commands)).returncode == 0, "the lines can be pasted"


def test_nothing_is_overwritten(empty: Project) -> None:
    (empty.folder / "steps").mkdir()
    (empty.folder / "steps" / "train.py").write_text("mine\n", "utf-8")
    (empty.folder / ".gitignore").write_text("data\n", "utf-8")
    done = empty("init")
    assert done.returncode == 2
    assert "has steps/train.py already" in done.stderr
    assert files(empty.folder) == [".gitignore", "steps/train.py"], "and nothing is half done"
    (empty.folder / "steps" / "train.py").rename(empty.folder / "steps" / "mine.py")
    done = empty("init")
    assert done.returncode == 0
    assert ".gitignore is left as it is; add to it: .mlorch/ .venv/ __pycache__/" in done.stdout
    assert (empty.folder / ".gitignore").read_text("utf-8") == "data\n"
    again = empty("init")
    assert again.returncode == 2
    assert "mlorch.yaml, pipelines/features.yaml" in again.stderr


def test_with_a_workflow(empty: Project) -> None:
    (empty.folder / "notes").mkdir()
    unknown = empty("init", "--github")
    assert unknown.returncode == 2
    assert "--action" in unknown.stderr
    assert [path.name for path in empty.folder.iterdir()] == ["notes"], "what was written is taken back"
    done = empty.json("init", "--github", "--action", "o/r@v1")
    assert ".github/workflows/mlorch.yml" in done["data"]["files"]
    assert empty("github", "check", "--exit-code").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("--template", "standart"), 2, "did you mean `standard`"), (("mlorch.txt/x",), 1, "cannot be written")],
)
def test_what_cannot_be_made(empty: Project, words: tuple[str, ...], code: int, said: str) -> None:
    (empty.folder / "mlorch.txt").write_text("a file\n", "utf-8")
    done = empty("init", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert files(empty.folder) == ["mlorch.txt"]
