"""What is said of a step that failed: what happened, the end of its log, and the command that continues."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.model.states import StepState
from mlorch.views.text import count, duration, lines_of, name_of, one_line, size, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from mlorch.model.history import AttemptRecord, RunRecord, StepRecord

LOG_LINES = 20
TAIL_BYTES = 64 * 1024
_SIGNAL_BASE = 128
_MEANINGS = {
    126: "the command is not executable",
    127: "a command was not found",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed step, in words. `log` is the path to show, `lines` the end of what is in it."""

    title: str
    what: str
    command: str
    log: str
    lines: tuple[str, ...]


def failures(
    run: RunRecord, tail: Callable[[str, int], bytes], show: Callable[[str], str], limit: int = 3
) -> list[Failure]:
    """The first `limit` steps of `run` that failed. `tail` gives the last bytes of a log, `show` its path for people."""
    bad = [step for step in run.steps.values() if step.state.bad]
    return [failure(run, step, tail, show) for step in bad[:limit]]


def failure(run: RunRecord, step: StepRecord, tail: Callable[[str, int], bytes], show: Callable[[str], str]) -> Failure:
    """One failed step of `run`."""
    last = step.last
    title = f"{name_of(run.pipeline, run.partition)} · {visible(step.id)}"
    if last is None:
        return Failure(title, one_line(step.detail) or step.state.value, "", "", ())
    data = tail(last.log, TAIL_BYTES) if last.log else b""
    return Failure(
        title,
        what_happened(step, last),
        one_line(last.command),
        show(last.log) if last.log else "",
        tuple(lines_of(data, LOG_LINES)),
    )


def what_happened(step: StepRecord, attempt: AttemptRecord) -> str:
    """`exit status 3 after 12s, attempt 2`."""
    told = _cause(attempt)
    lost = step.state is StepState.LOST  # what its attempt was told at its start says nothing of its end
    detail = one_line((not lost and attempt.detail) or (step.detail if step.state.ended else ""))
    text = detail if not told or told in detail else told if detail in told else f"{told}: {detail}"
    if attempt.duration_s:
        text += f" after {duration(attempt.duration_s)}"
    if attempt.number > 1:
        text += f", attempt {attempt.number}"
    return text


def _cause(attempt: AttemptRecord) -> str:
    match attempt.cause:
        case "exit":
            code = attempt.exit_code or 0
            told = f"exit status {code}"
            meaning = _MEANINGS.get(code)
            if code > _SIGNAL_BASE + 1 and meaning is None:
                meaning = f"what a shell says of a command ended by signal {code - _SIGNAL_BASE}"
            return f"{told} ({meaning})" if meaning else told
        case "signal":
            return f"ended by {attempt.signal or 'a signal'}"
        case "timeout":
            return "timed out"
        case "heartbeat":
            return "gave no sign of life for too long"
        case "oom":
            peak = size(attempt.peak_rss_bytes)
            return f"out of memory ({peak} at its peak)" if peak else "out of memory"
        case "spawn":
            return "could not be started"
        case "check":
            return "a check failed"
        case "output":
            return "an output is not as it should be"
        case "value":
            return "a value is not as it should be"
        case _:
            return ""


def continue_command(pipeline: str, partition: str, options: Sequence[str] = (), leading: Sequence[str] = ()) -> str:
    """The command that goes on where the run stopped, quoted for a shell. `leading` are global options to repeat."""
    words = ["mlorch", *leading, "run", pipeline]
    if partition:
        words += ["-p", partition]
    words += options
    return " ".join(shlex.quote(word) for word in words)


def shell_commands(run: RunRecord, leading: Sequence[str] = (), limit: int = 3) -> list[str]:
    """The commands that open a shell in the first `limit` steps that were started and failed."""
    started = [step.id for step in run.steps.values() if step.state.bad and step.last is not None]
    return [" ".join(map(shlex.quote, ("mlorch", *leading, "shell", run.run_id, step))) for step in started[:limit]]


def failure_lines(found: Failure) -> list[str]:
    """For pipes and files."""
    lines = [f"FAILED {found.title}", f"  {found.what}"]
    if found.command:
        lines.append(f"  command: {found.command}")
    if found.lines:
        lines.append(f"  the last {count(len(found.lines), 'line')} of its log:")
        lines += [f"  | {line}" for line in found.lines]
    elif found.log:
        lines.append("  its log is empty")
    if found.log:
        lines.append(f"  log: {visible(found.log)}")
    return lines


def failure_panel(found: Failure) -> RenderableType:
    """For a terminal: a frame without sides, so that what stands in it can be copied."""
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    parts: list[RenderableType] = [Text(found.what, "bold")]
    if found.command:
        parts.append(Text(f"$ {found.command}", "bright_black", overflow="fold"))
    if found.lines:
        parts.append(Text())
        parts += [Text(line, overflow="fold") for line in found.lines]
    elif found.log:
        parts += [Text(), Text("its log is empty", "bright_black")]
    if found.log:
        parts += [Text(), Text.assemble(("log  ", "bright_black"), visible(found.log), overflow="fold")]
    title = Text.assemble(("✗ ", "bold red"), (found.title, "bold"))
    return Panel(
        Group(*parts), box=box.HORIZONTALS, border_style="red", title=title, title_align="left", padding=(0, 1)
    )
