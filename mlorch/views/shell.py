"""The surroundings of a step for people: what to know about them, and a text for `sh` that makes them again."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from mlorch.views.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.shell import StepShell

_SCRATCH = '"$scratch"'
BASH = "bash --noprofile --norc"
"""No profile of the user: it would change the very variables that are to be looked at."""


def notes(shell: StepShell) -> list[str]:
    """What to know before anything is typed."""
    lines = _about(shell)
    if shell.folders:
        lines.append(f"outputs go to {visible(shell.scratch)}/outputs; the published ones stay as they are")
    if shell.command:
        first, more, _ = shell.shown.strip().partition("\n")
        lines.append(f'its command, as often as you like: "$MLORCH_COMMAND" ({visible(first)}{" …" if more else ""})')
    return lines


def _about(shell: StepShell) -> list[str]:
    again = f", attempt {shell.attempt}" if shell.attempt > 1 else ""
    return [f"{visible(shell.title)}, as in run {shell.run_id}{again}", *map(one_line, shell.notes)]


def script(shell: StepShell) -> str:
    """A text for `sh` that makes the surroundings and starts a shell in them. Holds no secret: it fetches them when it is run."""
    swaps = {shell.scratch: _SCRATCH}
    fetched = []
    for text, source, value, name in shell.secrets:
        if any(text in content for _, content in shell.env):
            swaps[text] = f'"$secret_{name}"'
            fetched.append(f"secret_{name}={_fetch(source, value, name)}")
    lines = [f"# {line}" for line in _about(shell)]
    lines += ["(", "set -eu", f"cd {shlex.quote(shell.project)}", *fetched]
    lines.append('scratch=$(mktemp -d "${TMPDIR:-/tmp}/mlorch-shell-XXXXXX")')
    if shell.folders:
        lines.append(f"mkdir -p {' '.join(_quoted(folder, swaps) for folder in shell.folders)}")
    for path, text in shell.files:
        lines.append(f"printf %s {_quoted(text, swaps)} > {_quoted(path, swaps)}")
    if shell.command:
        lines.append(f"chmod u+x {_quoted(shell.command, swaps)}")
    if shell.unset:
        lines.append(f"unset {' '.join(shell.unset)}")
    lines += [f"export {name}={_quoted(value, swaps)}" for name, value in shell.env]
    lines += [f"cd {shlex.quote(shell.cwd)}", 'echo "outputs go to $scratch/outputs; remove $scratch afterwards" >&2']
    return "\n".join([*lines, f"exec {BASH}", ")", ""])


def _fetch(source: str, value: str, name: str) -> str:
    if source == "env":
        return f'"${{{value}:?the secret {name} is read from it}}"'
    if source == "command":
        return f"$({value}\n)"  # on a line of its own, should the command end in a comment
    home, path = ('"$HOME"/', value[2:]) if value.startswith("~/") else ("", value)
    return f"$(cat {home}{shlex.quote(path)})"


def _quoted(text: str, swaps: Mapping[str, str]) -> str:
    """`text` as one word, with what stands for something else replaced by that."""
    parts = re.split("(" + "|".join(re.escape(one) for one in swaps) + ")", text)
    return "".join(swaps.get(part) or shlex.quote(part) for part in parts if part) or "''"
