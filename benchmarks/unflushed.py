"""`mlorch`, its flushes left out: for measuring what they cost. No option does this, on purpose."""

from __future__ import annotations

from functools import partial

from mlorch.cli.main import main
from mlorch.session import jobs, workspace
from mlorch.world.files import ProjectFiles
from mlorch.world.journal import FileJournal


class UnflushedJournal(FileJournal):
    """A journal whose records are left to the system."""

    def flush(self) -> None:
        """Do nothing."""


if __name__ == "__main__":
    jobs.FileJournal = UnflushedJournal  # type: ignore[misc]
    workspace.ProjectFiles = partial(ProjectFiles, durable=False)  # type: ignore[misc,assignment]
    main()
