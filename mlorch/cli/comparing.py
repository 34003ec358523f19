"""`diff`: two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal

app = theme()
Old = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The one: an id, a prefix of one, or @latest, PIPELINE@latest, PIPELINE@KEY."),
]
New = Annotated[str, typer.Argument(metavar="RUN", help="The other.")]


@command(
    app,
    "diff",
    """
mlorch diff delay_model@latest 20130131
mlorch diff flights_features@2013-01-30 flights_features@2013-01-31
mlorch diff 20130130 20130131 -o json | jq '.data.steps[] | select(.differs != [])'
""",
)
def diff(ctx: typer.Context, old: Old, new: New) -> int:
    """Two runs side by side: parameters, code, inputs, durations, values, metrics, and the diff of their specs.

    Of steps without a result in one of the runs only the ends are compared. A reused result counts as that of the run.
    """
    from mlorch.views.comparison import comparison_lines, comparison_row

    terminal: Terminal = ctx.obj
    found = terminal.session().compare(old, new)
    if terminal.json:
        terminal.document(0, comparison_row(found))
    else:
        terminal.lines(comparison_lines(found))
    return 0
