"""The commands and the global options by name, without importing any of them: what `mlorch --help` needs."""

from __future__ import annotations

from typing import NamedTuple


class GlobalOption(NamedTuple):
    """An option of every command. `metavar` is "" for a switch."""

    names: tuple[str, ...]
    metavar: str
    help: str


class Entry(NamedTuple):
    """A command: the module that declares it, and what it does in a few words."""

    module: str
    help: str


GLOBALS = (
    GlobalOption(("--project",), "DIR", "The project's folder (default: the nearest one upwards from here)."),
    GlobalOption(("--profile",), "NAME", "A profile of mlorch.yaml: other variables, parameters and pools."),
    GlobalOption(
        ("--output", "-o"),
        "FORMAT",
        "table, plain, json or github (default: table on a terminal, github in GitHub Actions, else plain).",
    ),
    GlobalOption(("--quiet", "-q"), "", "Say only what went wrong."),
    GlobalOption(("--verbose", "-v"), "", "Say more: also what was reused."),
    GlobalOption(("--no-color",), "", "No colours; the variable NO_COLOR does the same."),
    GlobalOption(
        ("--now",), "TIME", "The time that schedules and ages go by (ISO 8601); also the variable MLORCH_NOW."
    ),
)
OUTPUTS = ("table", "json", "github", "plain")
SECTIONS: tuple[tuple[str, dict[str, Entry]], ...] = (
    (
        "Run",
        {
            "run": Entry("running", "Bring a pipeline up to date."),
            "backfill": Entry("running", "Bring many partitions up to date."),
            "retry": Entry("retrying", "Run a past run again: what is done is reused."),
            "plan": Entry("running", "Show what run would do, and why."),
            "cancel": Entry("history", "End a run from another shell."),
        },
    ),
    (
        "Time",
        {
            "tick": Entry("scheduling", "Run all that is due now: for a crontab line."),
            "next": Entry("scheduling", "Coming ticks, and what each makes due."),
            "pause": Entry("scheduling", "No ticks of a pipeline for a while."),
            "resume": Entry("scheduling", "Ticks of a pipeline count again."),
            "mark": Entry("scheduling", "Let a partition count as done, or missing."),
        },
    ),
    (
        "Look",
        {
            "status": Entry("looking", "Health, last run and partitions of each pipeline."),
            "runs": Entry("history", "The history of runs."),
            "show": Entry("history", "One run: steps, attempts, results, the error."),
            "logs": Entry("history", "What the steps of a run printed."),
            "why": Entry("looking", "Why a step would run again, or not."),
            "graph": Entry("looking", "Steps in order, or what flows between pipelines."),
            "diff": Entry("comparing", "Two runs side by side."),
            "shell": Entry("shelling", "A shell in the very environment of a step."),
        },
    ),
    (
        "Write",
        {
            "init": Entry("starting", "A project that runs at once."),
            "validate": Entry("checking", "Every problem of every pipeline file."),
            "schema": Entry("checking", "Explain a key of the pipeline file."),
            "explain": Entry("checking", "Explain the code of a problem."),
            "version": Entry("checking", "The version of mlorch."),
        },
    ),
    (
        "Call",
        {
            "cron": Entry("scheduling_cron", "The one crontab line that a project needs."),
            "github": Entry("scheduling_github", "A GitHub Actions workflow for the project."),
        },
    ),
    (
        "Keep",
        {
            "doctor": Entry("doctoring", "What is wrong with this machine, project or state."),
            "gc": Entry("doctoring", "Give up old runs, as retention says."),
        },
    ),
)
LATER = {
    "models": "the versions of a model",
    "check": "a watchdog for another host",
    "alerts": "the messages to owners",
    "report": "a page to look at",
}
"""Commands that the language of pipelines leads one to expect, and that are not built."""
COMMANDS: dict[str, Entry] = {name: entry for _, commands in SECTIONS for name, entry in commands.items()}
_WITH_VALUE = frozenset(name for option in GLOBALS if option.metavar for name in option.names)
_ALL = frozenset(name for option in GLOBALS for name in option.names)


def settle(argv: list[str]) -> list[str]:
    """Move global options that stand before the command behind it, where its own parser reads them."""
    index = 0
    while index < len(argv) and argv[index].startswith("-") and argv[index] != "--":
        word = argv[index]
        name = word.split("=", 1)[0] if word.startswith("--") else word[:2]
        if name not in _ALL:
            return argv
        index += 2 if word in _WITH_VALUE else 1
    if index == 0 or index >= len(argv):
        return argv
    return [argv[index], *argv[:index], *argv[index + 1 :]]


def wanted_output(argv: list[str]) -> str:
    """The `-o` of a command line that may be wrong otherwise; "" if there is none that makes sense."""
    found = ""
    for index, word in enumerate(argv):
        if word == "--":
            break
        value = ""
        if word in ("-o", "--output"):
            value = argv[index + 1] if index + 1 < len(argv) else ""
        elif word.startswith("--output="):
            value = word.removeprefix("--output=")
        elif word.startswith("-o"):
            value = word.removeprefix("-o").removeprefix("=")
        found = value if value in OUTPUTS else found
    return found


def overview() -> str:
    """What `mlorch --help` says."""
    lines = ["Usage: mlorch COMMAND [OPTIONS] [ARGUMENTS]", ""]
    lines += ["Runs feature, training and batch inference pipelines from YAML files.", ""]
    for title, commands in SECTIONS:
        lines.append(f"{title}:")
        lines += [f"  {name:<9} {entry.help}" for name, entry in commands.items()]
        lines.append("")
    lines.append("Options of every command, before or after its name:")
    for option in GLOBALS:
        names = ", ".join(sorted(option.names, key=len)) + (f" {option.metavar}" if option.metavar else "")
        lines += _item(names, option.help)
    lines += _item("-h, --help", "This text, or that of a command: mlorch run --help.")
    lines += [
        "",
        "Start here:",
        "  mlorch validate        what is wrong with the pipelines of this project",
        "  mlorch plan NAME       what a run would do",
        "  mlorch run NAME        do it",
        "  mlorch status          how everything stands",
        "",
    ]
    return "\n".join(lines)


def _item(names: str, text: str, width: int = 80, margin: int = 23) -> list[str]:
    """A name with its text beside it, wrapped."""
    lines, line = [], f"  {names}".ljust(margin)
    for word in text.split():
        if len(line) + len(word) + 1 > width and line.strip():
            lines.append(line.rstrip())
            line = " " * margin
        line += word + " "
    return [*lines, line.rstrip()]
