"""A project in a temporary folder, and the command called in it as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[3]
PIPELINE = """\
mlorch: 1
name: demo
kind: feature
owner: dana@example.org
params: {n: 3}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-01-10}
steps:
  load:
    run: [sh, -c, 'echo "loading [/b] ${1}"; echo x > "$MLORCH_OUTPUT_RAW"', sh, '${{ partition.key }}']
    outputs: {raw: 'data/raw/${{ partition.key }}.txt'}
  check:
    run: 'echo "::error::forged"; test ${{ params.n }} -lt 5'
    needs: [load]
  after:
    run: 'true'
    needs: [check]
"""


@dataclass
class Project:
    """A folder with pipelines. The environment holds nothing that would change what is printed."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlorch", *words],
            cwd=self.folder,
            env=self.env | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def shell(self, text: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A line of a shell in which `mlorch` is the command."""
        line = f'mlorch() {{ "{sys.executable}" -m mlorch "$@"; }}; {text}'
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str, code: int = 0, schema: str = "") -> Any:
        """The document of a command, held to its schema."""
        done = self(*words, "-o", "json")
        assert done.returncode == code, done.stdout + done.stderr
        document = json.loads(done.stdout)
        text = (ROOT / "schemas" / "output" / f"{schema or words[0]}.schema.json").read_text("utf-8")
        jsonschema.Draft7Validator(json.loads(text)).validate(document)
        assert document["exit_code"] == code
        return document


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "demo.yaml").write_text(PIPELINE, "utf-8")
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV", "TMPDIR") if name in os.environ}
    return Project(tmp_path, keep | {"PYTHONPATH": str(ROOT)})
