"""What the quick reader of `mlorch run` and `mlorch backfill` accepts, it reads as the parser does."""

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
    from mlorch.session.options import GlobalOptions

VALUES = st.sampled_from(
    [
        "a",
        "k=v",
        "k=a=b",
        "=v",
        "3",
        "0",
        "03",
        "-1",
        "x y",
        "",
        "json",
        "xml",
        "wait",
        "skip",
        "--force",
        "²",
        "stale, all",
    ]
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
        "--to",
        "--last",
        "--max-failures",
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
        "--newest-first",
        "--yes",
        "-y",
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


def seen_by(name: str, function: str, argv: list[str]) -> tuple[Any, dict[str, Any], GlobalOptions] | None:
    """What the parser of a command hands to `deliver`: its options, what else it says, the global ones; None when it refuses."""
    seen: list[tuple[Any, dict[str, Any], GlobalOptions]] = []

    def note(terminal: Terminal, options: object, **more: Any) -> int:
        seen.append((options, more, terminal.options))
        return 0

    command: Any = load(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliver, function, note)
        try:
            command.main(argv, prog_name=f"mlorch {name}", standalone_mode=False)
        except WrongUsage:
            return None
    return seen[0] if seen else None


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_quick_reads_as_the_parser_does(argv: list[str]) -> None:
    found = quick.parse(argv)
    if found is not None:
        options, given_globals = found
        assert seen_by("run", "perform", argv) == (options, {}, resolve(given_globals))


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_quick_reads_a_backfill_as_the_parser_does(argv: list[str]) -> None:
    found = quick.parse_backfill(["a", *argv])
    if found is not None:
        options, ask, given_globals = found
        assert seen_by("backfill", "backfill", ["a", *argv]) == (options, {"ask": ask}, resolve(given_globals))


@pytest.mark.parametrize(
    "line",
    [
        "a --from 2013-01-01 --to=2013-12-31 -j2 -q --yes",
        "a --last 7 --only missing,stale --max-failures 1 --newest-first --with-upstream --dry-run -y",
        "a -p 2013-01-01 --param n=3 -o json --project x",
    ],
)
def test_quick_reads_the_usual_backfills(line: str) -> None:
    found = quick.parse_backfill(line.split())
    assert found is not None
    options, ask, given_globals = found
    assert seen_by("backfill", "backfill", line.split()) == (options, {"ask": ask}, resolve(given_globals))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a b",
        "a --only missing,old",
        "a --last 0",
        "a --last 2 --to x",
        "a --max-failures x",
        "a --force",
        "a --help",
    ],
)
def test_quick_leaves_other_backfills_to_the_parser(line: str) -> None:
    assert quick.parse_backfill(line.split()) is None


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
