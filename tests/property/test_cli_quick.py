"""What the quick reader of `mlorch run` accepts, it reads as the parser does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.cli import deliver, quick
from mlorch.cli.app import WrongUsage, load
from mlorch.cli.common import resolve

if TYPE_CHECKING:
    from mlorch.cli.terminal import Terminal
    from mlorch.session.options import GlobalOptions, RunOptions

VALUES = st.sampled_from(
    ["a", "k=v", "k=a=b", "=v", "3", "0", "03", "-1", "x y", "", "json", "xml", "wait", "skip", "--force", "²"]
)
OPTIONS = st.sampled_from(
    [
        "-p",
        "--partition",
        "--param",
        "--only",
        "--from",
        "--until",
        "--force-step",
        "-o",
        "--output",
        "--project",
        "--profile",
        "--now",
        "-j",
        "--jobs",
        "--if-busy",
        "--wait-timeout",
        "--params-file",
        "--orphans",
    ]
)
SWITCHES = st.sampled_from(
    [
        "-q",
        "--quiet",
        "-v",
        "--no-color",
        "--force",
        "--with-upstream",
        "--rerun-unsafe",
        "--fail-fast",
        "--dry-run",
        "-qv",
        "--",
    ]
)
PIECES = st.one_of(
    st.tuples(VALUES),
    st.tuples(SWITCHES),
    st.tuples(OPTIONS, VALUES),
    st.tuples(OPTIONS),
    st.builds(lambda option, value: (f"{option}={value}",), OPTIONS, VALUES),
    st.builds(lambda option, value: (f"{option}{value}",), OPTIONS, VALUES),
)
LINES = st.lists(PIECES, max_size=6).map(lambda pieces: [word for piece in pieces for word in piece])


def parsed(argv: list[str]) -> tuple[RunOptions, GlobalOptions] | None:
    """What the parser makes of it; None when it refuses."""
    seen: list[tuple[RunOptions, GlobalOptions]] = []

    def perform(terminal: Terminal, options: RunOptions) -> int:
        seen.append((options, terminal.options))
        return 0

    command: Any = load("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliver, "perform", perform)
        try:
            command.main(argv, prog_name="mlorch run", standalone_mode=False)
        except WrongUsage:
            return None
    return seen[0] if seen else None


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_quick_reads_as_the_parser_does(argv: list[str]) -> None:
    found = quick.parse(argv)
    if found is not None:
        options, given_globals = found
        assert parsed(argv) == (options, resolve(given_globals))


@pytest.mark.parametrize(
    "line",
    [
        "flights_features",
        "flights_features -p 2013-01-31 -p2013-02-01 --param n=3 -j 2 -q",
        "flights_features -j2 -oplain",
        "a b --output json --project=x --if-busy skip --force --with-upstream --only s --from t --until u --force-step v",
    ],
)
def test_quick_reads_the_usual_lines(line: str) -> None:
    assert quick.parse(line.split()) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-q",
        "a --dry-run",
        "a --help",
        "a -p",
        "a -p --force",
        "a -j 0",
        "a -j x",
        "a -o xml",
        "a --param n",
        "a -- b",
        "a -qv",
    ],
)
def test_quick_leaves_the_rest_to_the_parser(line: str) -> None:
    assert quick.parse(line.split()) is None
