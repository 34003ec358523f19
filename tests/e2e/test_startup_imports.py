"""What the most frequent calls import: a library that creeps in there costs every crontab line of every user."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
mlorch: 1
name: tiny
kind: feature
owner: dana@example.com
steps:
  one:
    run: touch ${{ outputs.o }}
    outputs: {o: out/one}
  two:
    needs: [one]
    run: touch ${{ outputs.o }}
    outputs: {o: out/two}
"""
HEAVY = {
    "asyncio",
    "croniter",
    "filelock",
    "jsonschema",
    "logging",
    "rich",
    "simpleeval",
    "socket",
    "statistics",
    "subprocess",
    "typer",
    "yaml",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "tiny.yaml").write_text(PIPELINE)
    (tmp_path / "mlorch.yaml").write_text("mlorch: 1\npipelines: [pipelines/*.yaml]\n")
    return tmp_path


def imported(project: Path, *words: str) -> tuple[set[str], str]:
    """The modules that a call imports, and what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLORCH", "GITHUB"))}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mlorch", *words],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}, done.stdout


def test_a_run_with_nothing_to_do_imports_no_library(project: Path) -> None:
    first, _ = imported(project, "run", "tiny")
    assert {"yaml", "filelock"} <= first  # the list is worth something: a run that has work needs them
    imported(
        project, "run", "tiny"
    )  # keeps what it read of the specs: before the first run there was no place for that
    again, output = imported(project, "run", "tiny")
    assert "nothing to do" in output
    assert not HEAVY & again


@pytest.mark.parametrize("words", [("version",), ("--help",)])
def test_version_and_help_import_no_room_but_cli(project: Path, words: tuple[str, ...]) -> None:
    modules, _ = imported(project, *words)
    assert not HEAVY & modules
    rooms = {module.split(".")[1] for module in modules if module.startswith("mlorch.")}
    assert rooms <= {"cli", "model", "session"}
