"""A project's folder as it is seen from outside: commands that are started in it, processes that live of it, and what its journals say."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TAIL = len(b',"crc":"01234567"}')
STUCK = 60.0
"""Seconds after which a command that should have ended long ago counts as hung."""


def command() -> list[str]:
    """The installed command beside this Python, or the package in the clone."""
    installed = os.path.join(os.path.dirname(sys.executable), "mlorch")
    return [installed] if os.access(installed, os.X_OK) else [sys.executable, "-m", "mlorch"]


def journals_in(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The whole lines of every journal of a project, by pipeline/partition. Read without mlorch's own code."""
    found = {}
    for path in sorted(folder.glob(".mlorch/state/*/*/journal.jsonl")):
        lines = []
        for line in path.read_bytes().split(b"\n"):
            body = line[:-TAIL]
            if body and line[-TAIL:] == b',"crc":"%08x"}' % zlib.crc32(body):
                lines.append(json.loads(line))
        found["/".join(path.parts[-3:-1])] = lines
    return found


def done_in(folder: Path) -> dict[str, dict[str, Any]]:
    """The newest success of every step of a project, by pipeline/partition/step."""
    found = {}
    for partition, events in journals_in(folder).items():
        for event in events:
            if event["type"] == "step_succeeded":
                found[f"{partition}/{event['step']}"] = event
    return found


@dataclass(slots=True)
class Tally:
    """What a campaign counts. Only `allowed` may be more than zero: ends that no record had reached when all were killed."""

    times: int = 0
    lost: int = 0
    repeated: int = 0
    allowed: int = 0
    half: int = 0
    left: int = 0
    unclear: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing that was promised is broken."""
        return not (self.lost or self.repeated or self.half or self.left or self.unclear)

    def add(self, other: Tally) -> None:
        """Count another campaign in."""
        for name in ("times", "lost", "repeated", "allowed", "half", "left", "unclear"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes += other.notes

    def note(self, kind: str, text: str) -> None:
        """Count a broken promise of this kind."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.notes.append(f"{kind}: {text}")


class Place:
    """A project in `folder/project`; what its commands print is kept beside it."""

    def __init__(self, folder: Path, **env: str) -> None:
        """`env` is added to a bare environment, in which a mark tells what belongs to this project."""
        self.base = folder
        self.folder = folder / "project"
        self.folder.mkdir(parents=True)
        keep = {
            name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV", "TMPDIR", "LANG") if name in os.environ
        }
        self.env = keep | {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FAULT_PROJECT": str(self.folder),
            **env,
        }

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the command; its output goes to `out.txt` beside the project."""
        with open(self.base / "out.txt", "wb") as out:
            return subprocess.Popen(
                [*command(), *words],
                cwd=self.folder,
                env=self.env | env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def run(self, *words: str, **env: str) -> tuple[int, str]:
        """Run the command to its end: exit code and all it said. A hung one is killed and gives -1."""
        process = self.start(*words, **env)
        try:
            code = process.wait(STUCK)
        except subprocess.TimeoutExpired:
            for pid in self.living():
                os.kill(pid, 9)
            process.wait()
            code = -1
        return code, self.said()

    def said(self) -> str:
        """What the last command printed."""
        return (self.base / "out.txt").read_text("utf-8", "replace")

    def living(self) -> list[int]:
        """Processes of this project that live: known by their environment, never by name."""
        mark = f"FAULT_PROJECT={self.folder}".encode()
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
                state = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if mark in environment.split(b"\0") and state not in b"ZX":
                found.append(int(name))
        return found

    def journals(self) -> dict[str, list[dict[str, Any]]]:
        """The whole lines of every journal, by pipeline/partition."""
        return journals_in(self.folder)

    def recorded_ends(self) -> set[tuple[str, str, str]]:
        """(run, step, attempt) of all whose command is on record as ended with 0, and that did not fail even so."""
        found = set()
        for path in self.folder.glob(".mlorch/runs/*/records.jsonl"):
            for line in path.read_bytes().split(b"\n"):
                try:
                    data = json.loads(line)
                except ValueError:
                    continue
                if data.get("type") == "end" and data.get("exit_code") == 0 and data.get("cause") == "exit":
                    found.add(tuple(data["token"].split("/")))
        for events in self.journals().values():
            found -= {(e["run_id"], e["step"], str(e["attempt"])) for e in events if e["type"] == "attempt_ended"}
        return found

    def done(self) -> dict[str, dict[str, Any]]:
        """The newest success of every step, by pipeline/partition/step."""
        return done_in(self.folder)

    def check_left(self, tally: Tally, what: str) -> None:
        """No process, lock, staging folder or open run may be left."""
        deadline = time.monotonic() + 1
        while (living := self.living()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in living:
            tally.note("left", f"{what}: process {pid} lives: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
            os.kill(pid, 9)
        for path in (*self.folder.glob(".mlorch/state/*/*/lock"), *self.folder.glob(".mlorch/pools/*/[0-9]")):
            with open(path, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    tally.note("left", f"{what}: {path} is locked")
        for path in self.folder.rglob(".mlorch-*"):
            tally.note("left", f"{what}: {path} is left")
        for partition, events in self.journals().items():
            begun = {event["run_id"] for event in events if event["type"] == "run_started"}
            begun -= {event["run_id"] for event in events if event["type"] in ("run_ended", "run_lost")}
            if begun:
                tally.note("left", f"{what}: {partition} has runs without an end: {begun}")

    def remove(self) -> None:
        """End what may live of it, and delete it."""
        for pid in self.living():
            os.kill(pid, 9)
        shutil.rmtree(self.base, ignore_errors=True)
