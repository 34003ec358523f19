"""What is measured and what it is held against, in an environment of their own: `.bench/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
FOLDER = ROOT / ".bench"
_VENV = FOLDER / "venv"
_BUILD = ("hatchling>=1.26", "ninja")


@dataclass(frozen=True, slots=True)
class Tools:
    """Commands; those that this machine has not got are "" (or empty)."""

    python: str
    mlorch: str
    ninja: str
    make: str
    doit: str
    spawn: tuple[str, ...]
    spawn_is_c: bool


def environment() -> dict[str, str]:
    """What the measured commands inherit: nothing that slows down Python or tells mlorch anything."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MLORCH", "GITHUB", "MAKE", "MFLAGS"))
    }
    return kept | {"PATH": f"{_VENV}/bin:{kept.get('PATH', '/usr/bin:/bin')}"}


def install(*, doit: bool) -> Tools:
    """Make or refresh the environment: mlorch as it is now, installed as users have it, with its bytecode."""
    python = _VENV / "bin" / "python"
    if not python.exists():
        _call(sys.executable, "-m", "venv", str(_VENV))
        _pip(*_BUILD)
    if doit and not (_VENV / "bin" / "doit").exists():
        _pip("doit")
    _pip("--no-build-isolation", str(ROOT))
    spawn, is_c = _spawn(str(python))
    return Tools(
        str(python),
        str(_VENV / "bin" / "mlorch"),
        str(_VENV / "bin" / "ninja"),
        shutil.which("make") or "",
        str(_VENV / "bin" / "doit") if doit else "",
        spawn,
        is_c,
    )


def _spawn(python: str) -> tuple[tuple[str, ...], bool]:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return (python, str(HERE / "spawn.py")), False
    program = FOLDER / "spawn"
    _call(compiler, "-O2", "-o", str(program), str(HERE / "spawn.c"))
    return (str(program),), True


def _pip(*words: str) -> None:
    _call(str(_VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *words)


def _call(*command: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)}\n{done.stdout}\nexit {done.returncode}: the environment of the benchmarks could not be made"
        )
