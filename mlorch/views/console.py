"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console


class PatientConsole(Console):
    """A console whose reader may go away: the work goes on without it, where that of `rich` ends the program."""

    def on_broken_pipe(self) -> None:
        """Print nothing more."""
        self.quiet = True
