"""The short form of `make faults`: a few of each fault. The long form is for `make faults`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[3]
FEWEST_ROWS = 20


def test_all_promises_hold_under_a_few_of_each_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "short"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(.*?\S)  +(\d+) +0 +0 +0 +0 +0 +\d+$", done.stdout, re.MULTILINE)
    assert len(rows) >= FEWEST_ROWS, done.stdout
    assert "all promises held" in done.stdout


def test_a_broken_promise_is_noticed() -> None:
    """The campaign can fail: a project whose state is thrown away between two runs has repeated what was done."""
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["True", "repeated", "lost", "half", "left"]


FORGETFUL = """
import shutil
from tests.faults.kills import Watcher
from tests.faults.place import Tally
from tests.faults.project import Worlds

worlds = Worlds()
project = worlds.make("chain")
good = Tally()
project.check(good, "first", stopped=project.finish())
print(good.good)

journal = project.folder / ".mlorch/state/chain/_/journal.jsonl"
kept = journal.read_bytes()
journal.unlink()
repeated = Tally()
before = len(project.ledger())
project.finish()
project._settled = 0
project.check(repeated, "forgotten")
print("repeated" if repeated.repeated == 3 else repeated.notes)

lost = Tally()
(project.folder / "data/chain/c.txt").write_bytes(b"1\\n")
(project.folder / "data/chain/.mlorch-x").mkdir()
watcher = Watcher(project)
watcher.start()
while not watcher.half:
    pass
watcher.stop(lost, "half")
project.check(lost, "half")
print(*[name for name in ("lost", "half", "left") if getattr(lost, name)])
project.remove()
worlds.remove()
"""
