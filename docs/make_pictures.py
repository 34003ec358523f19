# ruff: noqa: INP001 - a script, no package
"""Make the pictures of the README from what mlorch really prints: `make demo`, then `.venv/bin/python docs/make_pictures.py`.

It calls the installed command in a terminal of its own, in a copy of the project, and draws what came out. The second picture
is of a model that was asked to be better than it is.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 94
"""Columns: as many as the README shows without making the letters small."""
DAY = "2013-02-02T12:00-05:00"
"""What the first picture takes for today: a few days after the last that the demo delivers."""
LEFT_OUT = (".git", ".mypy_cache", ".ruff_cache", ".hypothesis", ".bench", ".venv", "tests")
# A picture fetches nothing from elsewhere, so it has no font of its own.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def printed(folder: Path, *words: str) -> str:
    """What a command prints on a terminal of `WIDTH` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "GITHUB_ACTIONS", "COLUMNS")}
    env = plain | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(words, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        out = b""
        # A terminal whose other side is gone reads as an error, not as an end.
        while True:
            try:
                out += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    return out.decode().replace("\r\n", "\n")


def draw(name: str, title: str, text: str) -> None:
    """Write docs/NAME.svg."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=False)
        (HERE / f"{name}.svg").write_text(
            console.export_svg(title=title, code_format=FORMAT, unique_id=name), encoding="utf-8"
        )


def main() -> None:
    """Both pictures, of the demo in the project that holds this script (or the folder that is named)."""
    project = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent).resolve()
    if not (project / ".mlorch").is_dir():
        sys.exit(f"{project} has no state yet: make demo")
    mlorch = str(project / ".venv" / "bin" / "mlorch")
    draw("status", f"mlorch status --now {DAY}", printed(project, mlorch, "status", "--now", DAY))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "flights"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        (copy / ".venv").symlink_to(project / ".venv")
        printed(copy, mlorch, "run", "delay_model", "--param", "min_auc=0.9")
        draw("failure", "mlorch show delay_model@latest", printed(copy, mlorch, "show", "delay_model@latest"))


if __name__ == "__main__":
    main()
