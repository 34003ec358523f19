"""The usual ways to write `mlorch run` and `mlorch backfill`, read without the parser.

Importing typer takes as long as all else that a run with nothing to do needs, and crontab lines call for such a run every few
minutes. Whatever is not plainly right here is left to the parser, which also words the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlorch.session.options import BackfillOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GLOBAL_VALUES = {
    "-o": "output",
    "--output": "output",
    "--project": "project",
    "--profile": "profile",
    "--now": "now",
    "-j": "jobs",
    "--jobs": "jobs",
}
_GLOBAL_SWITCHES = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--no-color": "no_color",
    "--with-upstream": "with_upstream",
}
_PARTITIONS = {"-p": "partition", "--partition": "partition", "--param": "param"}
_NUMBERS = ("jobs", "last", "max_failures")
_ALLOWED = {"output": ("table", "json", "github", "plain"), "if_busy": ("wait", "skip", "fail")}
_STATES = ("missing", "failed", "stale", "all")


class _Usual(NamedTuple):
    """What a command takes, by the words for it: options that may come again, those with one value, those with none."""

    lists: Mapping[str, str]
    values: Mapping[str, str]
    switches: Mapping[str, str]


class _Given(NamedTuple):
    pipelines: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]
    values: Mapping[str, str]
    switches: frozenset[str]

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        split = (text.partition("=") for text in self.lists["param"])
        return tuple((name, value) for name, _, value in split)

    def number(self, name: str) -> int | None:
        return int(self.values[name]) if name in self.values else None

    def of_all(self) -> dict[str, str | bool]:
        """The options that all commands have."""
        texts = {name: self.values[name] for name in ("output", "project", "profile", "now") if name in self.values}
        return texts | {name: True for name in ("quiet", "verbose", "no_color") if name in self.switches}


_RUN = _Usual(
    _PARTITIONS | {"--only": "only", "--from": "from", "--until": "until", "--force-step": "force_step"},
    _GLOBAL_VALUES | {"--if-busy": "if_busy"},
    _GLOBAL_SWITCHES | {"--force": "force", "--rerun-unsafe": "rerun_unsafe"},
)
_BACKFILL = _Usual(
    _PARTITIONS,
    _GLOBAL_VALUES
    | {"--from": "from", "--to": "to", "--last": "last", "--only": "only", "--max-failures": "max_failures"},
    _GLOBAL_SWITCHES | {"--newest-first": "newest_first", "--dry-run": "dry_run", "--yes": "yes", "-y": "yes"},
)


def parse(argv: Sequence[str]) -> tuple[RunOptions, dict[str, str | bool]] | None:
    """Options of `run` and what was given of the global ones; None when the parser must look."""
    given = _read(argv, _RUN)
    if given is None:
        return None
    options = RunOptions(
        pipelines=given.pipelines,
        partitions=given.lists["partition"],
        params=given.params,
        only=given.lists["only"],
        from_steps=given.lists["from"],
        until=given.lists["until"],
        force="force" in given.switches,
        force_steps=given.lists["force_step"],
        jobs=given.number("jobs"),
        if_busy=given.values.get("if_busy", "wait"),
        rerun_unsafe="rerun_unsafe" in given.switches,
        with_upstream="with_upstream" in given.switches,
    )
    return options, given.of_all()


def parse_backfill(argv: Sequence[str]) -> tuple[BackfillOptions, bool, dict[str, str | bool]] | None:
    """As `parse`, for `backfill`; with whether to ask before a large one."""
    given = _read(argv, _BACKFILL)
    if given is None or len(given.pipelines) != 1:
        return None
    only = tuple(word.strip() for word in given.values.get("only", "missing,failed").split(","))
    two_ranges = "last" in given.values and ("from" in given.values or "to" in given.values)
    if two_ranges or not all(word in _STATES for word in only):
        return None
    options = BackfillOptions(
        pipeline=given.pipelines[0],
        first=given.values.get("from", ""),
        last=given.values.get("to", ""),
        newest=given.number("last"),
        partitions=given.lists["partition"],
        only=only,
        params=given.params,
        jobs=given.number("jobs"),
        newest_first="newest_first" in given.switches,
        max_failures=given.number("max_failures"),
        with_upstream="with_upstream" in given.switches,
        dry_run="dry_run" in given.switches,
    )
    return options, "yes" not in given.switches, given.of_all()


def _read(argv: Sequence[str], usual: _Usual) -> _Given | None:
    pipelines: list[str] = []
    lists: dict[str, list[str]] = {name: [] for name in usual.lists.values()}
    values: dict[str, str] = {}
    switches: set[str] = set()
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            pipelines.append(word)
            continue
        if word in usual.switches:
            switches.add(usual.switches[word])
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            name, value = word[:2], word[2:]  # `-j2`, as good as `-j 2`
        if name not in usual.lists and name not in usual.values:
            return None
        if not equals and not value:
            value = next(words, "")
        if not value or value.startswith("-"):
            return None
        if name in usual.lists:
            lists[usual.lists[name]].append(value)
        else:
            values[usual.values[name]] = value
    params = [text.partition("=") for text in lists["param"]]
    if not pipelines or not all(name and equals for name, equals, _ in params) or not _sound(values):
        return None
    kept = {name: tuple(texts) for name, texts in lists.items()}
    return _Given(tuple(pipelines), kept, values, frozenset(switches))


def plain_tick(argv: Sequence[str]) -> dict[str, str] | None:
    """`project`, `profile` and `now` of a `tick` that says nothing when nothing is due; None when the parser must look."""
    given = {"project": "", "profile": "", "now": ""}
    words = iter(argv)
    for word in words:
        if word in ("-q", "--quiet", "-v", "--verbose", "--no-color"):
            continue
        if word not in ("--project", "--profile", "--now"):
            return None
        value = next(words, "")
        if not value or value.startswith("-"):
            return None
        given[word.removeprefix("--")] = value
    return given


def _sound(values: Mapping[str, str]) -> bool:
    for name in _NUMBERS:
        number = values.get(name, "1")
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            return False
    return all(values.get(name, allowed[0]) in allowed for name, allowed in _ALLOWED.items())
