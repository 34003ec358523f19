"""The usual ways to write `mlorch run`, read without the parser.

Importing typer takes as long as all else that a run with nothing to do needs, and crontab lines call for such a run every few
minutes. Whatever is not plainly right here is left to the parser, which also words the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.session.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

_LISTS = {
    "-p": "partition",
    "--partition": "partition",
    "--param": "param",
    "--only": "only",
    "--from": "from",
    "--until": "until",
    "--force-step": "force_step",
}
_VALUES = {
    "-o": "output",
    "--output": "output",
    "--project": "project",
    "--profile": "profile",
    "--now": "now",
    "-j": "jobs",
    "--jobs": "jobs",
    "--if-busy": "if_busy",
}
_SWITCHES = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--no-color": "no_color",
    "--force": "force",
    "--with-upstream": "with_upstream",
    "--rerun-unsafe": "rerun_unsafe",
}
_ALLOWED = {"output": ("table", "json", "github", "plain"), "if_busy": ("wait", "skip", "fail")}


def parse(argv: Sequence[str]) -> tuple[RunOptions, dict[str, str | bool]] | None:
    """Options of `run` and what was given of the global ones; None when the parser must look."""
    pipelines: list[str] = []
    lists: dict[str, list[str]] = {name: [] for name in _LISTS.values()}
    values: dict[str, str] = {}
    switches: set[str] = set()
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            pipelines.append(word)
            continue
        if word in _SWITCHES:
            switches.add(_SWITCHES[word])
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            name, value = word[:2], word[2:]  # `-j2`, as good as `-j 2`
        if name not in _LISTS and name not in _VALUES:
            return None
        if not equals and not value:
            value = next(words, "")
        if not value or value.startswith("-"):
            return None
        if name in _LISTS:
            lists[_LISTS[name]].append(value)
        else:
            values[_VALUES[name]] = value
    params = [text.partition("=") for text in lists["param"]]
    if not pipelines or not all(name and equals for name, equals, _ in params) or not _sound(values):
        return None
    options = RunOptions(
        pipelines=tuple(pipelines),
        partitions=tuple(lists["partition"]),
        params=tuple((name, value) for name, _, value in params),
        only=tuple(lists["only"]),
        from_steps=tuple(lists["from"]),
        until=tuple(lists["until"]),
        force="force" in switches,
        force_steps=tuple(lists["force_step"]),
        jobs=int(values["jobs"]) if "jobs" in values else None,
        if_busy=values.get("if_busy", "wait"),
        rerun_unsafe="rerun_unsafe" in switches,
        with_upstream="with_upstream" in switches,
    )
    given: dict[str, str | bool] = {
        name: values[name] for name in ("output", "project", "profile", "now") if name in values
    }
    return options, given | {name: True for name in ("quiet", "verbose", "no_color") if name in switches}


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


def _sound(values: dict[str, str]) -> bool:
    jobs = values.get("jobs", "1")
    if not (jobs.isascii() and jobs.isdigit() and int(jobs) > 0):
        return False
    return all(values.get(name, allowed[0]) in allowed for name, allowed in _ALLOWED.items())
