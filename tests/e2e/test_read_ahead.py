"""A large new spec is read by a copy of the process; whatever becomes of that one, the run is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlorch.model.spec import Project
from mlorch.session import ahead

ROOT = str(Path(__file__).parents[2])
SCRIPT = """
import os, signal, sys
from mlorch.cli.main import invoke
from mlorch.session import ahead
from mlorch.world import copies

copies.cpus = lambda: {cpus}
begun = []
make = copies.begin

def begin(work):
    def there(told):
        {there}
        work(told)
    copy = make(there)
    begun.append(copy is not None)
    return copy

copies.begin = begin
code = invoke(["run", "large", "-q", *sys.argv[1:]])
try:
    os.waitpid(-1, os.WNOHANG)
    left = True
except ChildProcessError:
    left = False
print(code, begun, "yaml" in sys.modules, left)
"""
LARGE = "mlorch: 1\nname: large\nkind: feature\nowner: a@example.com\nsteps:\n" + "".join(
    f"  step_{number}: {{run: 'true'{', when: false' if number else ''}}}  # {'x' * 80}\n" for number in range(200)
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlorch.yaml").write_text("mlorch: 1\n", "utf-8")
    (tmp_path / "pipelines" / "large.yaml").write_text(LARGE, "utf-8")
    assert len(LARGE) > ahead.LARGE
    return tmp_path


def run(project: Path, there: str = "pass", cpus: int = 2, *words: str) -> tuple[str, str]:
    script = SCRIPT.format(there=there, cpus=cpus)
    env = {**os.environ, "PYTHONPATH": ROOT, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=project, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr


def test_what_the_copy_found_sound_is_not_checked_again(project: Path) -> None:
    assert run(project) == ("0 [True] False False", "")
    assert list((project / ".mlorch" / "runs").iterdir())


def test_the_copy_is_gone_when_the_first_step_runs(project: Path) -> None:
    # A step's parent is the supervisor, and that one's is mlorch.
    look = "p=$(cut -d' ' -f4 /proc/$PPID/stat); cat /proc/$p/task/$p/children > children"
    (project / "pipelines" / "large.yaml").write_text(LARGE + f'  look: {{run: "{look}"}}\n', "utf-8")
    assert run(project) == ("0 [True] False False", "")
    assert len((project / "children").read_text("utf-8").split()) == 1


def test_what_is_known_needs_no_copy(project: Path) -> None:
    run(project)
    assert run(project) == ("0 [] False False", "")
    (project / "pipelines" / "large.yaml").write_text(LARGE + "# more\n", "utf-8")
    assert run(project) == ("0 [True] False False", "")


@pytest.mark.parametrize(
    "there", ["os.kill(os.getpid(), signal.SIGKILL)", "raise ValueError", "told.write(b'[x'); return"]
)
def test_a_copy_that_fails_is_not_missed(project: Path, there: str) -> None:
    assert run(project, there) == ("0 [True] True False", "")


def test_whoever_ignores_the_ends_of_children_may_call(project: Path) -> None:
    script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    words = [sys.executable, "-c", script, "-m", "mlorch", "run", "large", "-q"]
    done = subprocess.run(
        words, cwd=project, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_copy_ends_with_the_process_and_keeps_nobody_waiting(project: Path) -> None:
    """It hangs for ever, and mlorch is killed meanwhile: whoever reads its output reads the end of it."""
    script = SCRIPT.format(there="told.write(b'x'); told.flush(); signal.pause()", cpus=2)
    env = {**os.environ, "PYTHONPATH": ROOT}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=project, env=env, stdout=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while not children.read_text("ascii"):
        assert time.monotonic() < deadline
    process.kill()
    assert process.communicate(timeout=30)[0] == b""


def test_one_cpu_needs_no_copy(project: Path) -> None:
    assert run(project, cpus=1) == ("0 [False] True False", "")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pipelines/large.yaml", LARGE + "  step_x: {run: 'true', ned: [step_1]}\n"),
        ("mlorch.yaml", "mlorch: 1\nstat: x\n"),
    ],
)
def test_what_is_wrong_is_told_as_ever(project: Path, file: str, text: str) -> None:
    (project / file).write_text(text, "utf-8")
    out, told = run(project)
    assert out == "3 [True] True False"
    assert (out.replace("[True]", "[False]"), told) == run(project, cpus=1)


def test_warnings_are_told_as_ever(project: Path) -> None:
    def told(cpus: int) -> list[object]:
        document, _, last = run(project, "pass", cpus, "-o", "json")[0].rpartition("\n")
        assert last == f"0 [{cpus > 1}] {cpus == 1} False"
        found: list[object] = json.loads(document)["problems"]
        return found

    ahead_of_us = told(2)
    (project / ".mlorch").rename(project / "former")
    assert ahead_of_us == told(1)
    assert len(ahead_of_us) > 1


def test_a_small_spec_needs_no_copy(project: Path) -> None:
    (project / "pipelines" / "large.yaml").write_text(LARGE[:2000].rpartition("\n")[0], "utf-8")
    assert run(project) == ("0 [] True False", "")


def test_the_state_folder_is_the_usual_one() -> None:
    assert Project().state == ahead._STATE
