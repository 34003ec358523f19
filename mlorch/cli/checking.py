"""`version`, `validate`, `schema` and `explain`: what needs no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mlorch.cli.app import command, theme

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal

app = theme()


@command(app, "version", "mlorch version -o json | jq -r .data.version")
def version(ctx: typer.Context) -> int:
    """The version of mlorch."""
    from mlorch import __version__

    terminal: Terminal = ctx.obj
    if terminal.json:
        terminal.document(0, {"version": __version__})
    else:
        terminal.say(f"mlorch {__version__}")
    return 0
