"""Global options: what was typed, with what the environment and the terminal say where nothing was."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from mlorch.cli.catalogue import OUTPUTS
from mlorch.cli.terminal import dumb, is_terminal
from mlorch.model.errors import UsageError
from mlorch.session.options import GlobalOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


def resolve(given: Mapping[str, Any]) -> GlobalOptions:
    """The options by name as typed (None or False where they were not). An unknown format is left to `checked`."""
    output = given.get("output") or default_output()
    colour = not (given.get("no_color") or os.environ.get("NO_COLOR") or dumb())
    return GlobalOptions(
        project=given.get("project") or "",
        profile=given.get("profile") or "",
        output=output,
        quiet=bool(given.get("quiet")),
        verbose=bool(given.get("verbose")),
        color=colour and output == "table" and is_terminal(sys.stdout),
        now=given.get("now") or os.environ.get("MLORCH_NOW", ""),
    )


def default_output() -> str:
    """GitHub's form in GitHub Actions, tables where somebody looks, plain lines anywhere else."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "table" if is_terminal(sys.stdout) else "plain"


def check_output(options: GlobalOptions) -> None:
    """Raises `UsageError` for a format that does not exist."""
    if options.output not in OUTPUTS:
        raise UsageError(f"there is no output format `{options.output}`", f"use one of: {', '.join(OUTPUTS)}")
