"""The text of `mlorch shell --command`, read by a real `sh`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from mlorch.model.shell import StepShell
from mlorch.views.shell import notes, script

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = 'it\'s "$(echo bad)" `echo bad`\n\\ *'


def shell(folder: Path, **fields: object) -> StepShell:
    plain: dict[str, object] = {
        "title": "demo · train",
        "run_id": "r1",
        "pipeline": "demo",
        "partition": "",
        "step": "train",
        "attempt": 1,
        "project": str(folder),
        "cwd": str(folder),
        "env": (),
        "unset": (),
        "scratch": "/nowhere/scratch-of-a-test",
        "folders": (),
        "files": (),
        "command": "",
        "shown": "",
        "secrets": (),
        "notes": (),
    }
    return StepShell(**(plain | fields))  # type: ignore[arg-type] # the fields are those of the class


def opened(made: StepShell, typed: str, **env: str) -> str:
    text = script(made).replace("exec bash --noprofile --norc", f"exec sh -c '{typed}'")
    done = subprocess.run(
        ["sh", "-c", text], env={"PATH": "/usr/bin:/bin", "TMPDIR": made.project} | env, capture_output=True, check=True
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("source", "value"),
    [("env", "KEY"), ("file", "se cret's.txt"), ("file", "~/se cret's.txt"), ("command", "echo hush-hush # really")],
)
def test_secrets_are_fetched_from_where_they_are(tmp_path: Path, source: str, value: str) -> None:
    (tmp_path / "se cret's.txt").write_text("hush-hush\n", "utf-8")
    made = shell(tmp_path, env=(("AUTH", "x token-1 y"),), unset=("KEY",), secrets=(("token-1", source, value, "T"),))
    assert "hush" not in script(made).replace(value, "")
    assert opened(made, 'echo "$AUTH ${KEY-hidden}"', KEY="hush-hush", HOME=str(tmp_path)) == "x hush-hush y hidden\n"


def test_what_is_not_used_is_not_fetched(tmp_path: Path) -> None:
    made = shell(tmp_path, env=(("A", "1"),), secrets=(("token-1", "command", "touch fetched", "T"),))
    assert opened(made, 'echo "$A"') == "1\n"
    assert not (tmp_path / "fetched").exists()


def test_values_are_what_they_are(tmp_path: Path) -> None:
    inside = "/nowhere/scratch-of-a-test/outputs/x"
    made = shell(tmp_path, env=(("A", HOSTILE), ("X", inside)), folders=(inside,), files=((f"{inside}/f", HOSTILE),))
    assert opened(made, 'printf "%s" "$A"; cat "$X/f"; rm -r "$X"') == HOSTILE * 2


def test_notes_are_one_line_each(tmp_path: Path) -> None:
    made = shell(tmp_path, attempt=2, notes=("a\nb",), command="/c", shown="one\ntwo", folders=("/x",))
    assert notes(made) == [
        "demo · train, as in run r1, attempt 2",
        "a ⏎ b",
        "outputs go to /nowhere/scratch-of-a-test/outputs; the published ones stay as they are",
        'its command, as often as you like: "$MLORCH_COMMAND" (one …)',
    ]
