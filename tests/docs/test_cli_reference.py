from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from mlorch.cli.app import load
from mlorch.cli.catalogue import COMMANDS, GLOBALS, overview

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_commands_say() -> None:
    made = runpy.run_path(str(DOCS / "make_cli_reference.py"))["render"]()
    assert (DOCS / "cli.md").read_text("utf-8") == made, "run: python docs/make_cli_reference.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_an_example(name: str) -> None:
    command: Any = load(name)
    assert command is not None
    assert command.name == name
    assert command.help
    assert "Examples:" in command.epilog
    assert f"mlorch {name}" in command.epilog
    assert [param.name for param in command.params if not param.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_global_options(name: str) -> None:
    command: Any = load(name)
    taken = {option for param in command.params for option in param.opts}
    assert {name for option in GLOBALS for name in option.names} <= taken
    every = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
    assert len(every) == len(set(every)), "no option means two things"


def test_the_overview_names_every_command() -> None:
    words = overview().split()
    assert all(name in words for name in COMMANDS)
    assert max(len(line) for line in overview().splitlines()) <= 80
