from __future__ import annotations

import pytest

from mlorch.cli.catalogue import COMMANDS, LATER, settle, wanted_output


@pytest.mark.parametrize(
    ("typed", "settled"),
    [
        ("", ""),
        ("run x", "run x"),
        ("-q run x", "run -q x"),
        ("--project a -o json --no-color run x -p k", "run --project a -o json --no-color x -p k"),
        ("--output=json status", "status --output=json"),
        ("-ojson status", "status -ojson"),
        ("--help", "--help"),
        ("-q", "-q"),
        ("--force run x", "--force run x"),
        ("-q --help", "-q --help"),
        ("-- run", "-- run"),
        ("--project run", "--project run"),
    ],
)
def test_global_options_move_behind_the_command(typed: str, settled: str) -> None:
    assert settle(typed.split()) == settled.split()


def test_what_is_built_is_not_said_to_come_later() -> None:
    assert not LATER.keys() & COMMANDS.keys()


@pytest.mark.parametrize(
    ("typed", "output"),
    [
        ("run x -o json", "json"),
        ("run x -ojson", "json"),
        ("run x -o=json", "json"),
        ("run --output=plain", "plain"),
        ("run -o json --output table", "table"),
        ("run -o xml", ""),
        ("run -o", ""),
        ("run -- -o json", ""),
    ],
)
def test_the_output_of_a_wrong_command_line(typed: str, output: str) -> None:
    assert wanted_output(typed.split()) == output
