"""The `mlorch` command: from the words of the command line to an exit code."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from mlorch.cli.catalogue import COMMANDS, GLOBALS, LATER, OUTPUTS, overview, settle, wanted_output
from mlorch.cli.terminal import Terminal, finish_streams, output_trouble, prepare_streams

if TYPE_CHECKING:
    from mlorch.session.options import GlobalOptions

_COMPLETE = "_MLORCH_COMPLETE"


def main() -> NoReturn:
    """The console script. Ends the process with the exit code of docs/cli.md."""
    # What a command makes lives as long as it does: looking for cycles among 100,000 steps every few moments finds nothing, and takes a tenth of the time.
    gc.set_threshold(1_000_000, 20, 20)
    prepare_streams()
    code = invoke(sys.argv[1:])
    finish_streams()
    trouble = output_trouble()
    if trouble:
        # Whoever reads the output got less than all of it, and must hear of that.
        print(f"error: {trouble}", file=sys.stderr)
        code = code or 9
    if sys.getprofile() or sys.gettrace():
        sys.exit(code)  # whoever watches us from within has an end of its own
    # All is written, and to take apart object by object what a command made takes up to a tenth of its time.
    os._exit(code)


def invoke(argv: list[str]) -> int:
    """Run one command line; returns its exit code."""
    argv = settle(argv)
    if os.environ.get(_COMPLETE):
        return _complete()
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _help(argv[1:])
    if argv[0] == "--version" or argv == ["version"]:
        from mlorch import __version__

        sys.stdout.write(f"mlorch {__version__}\n")
        return 0
    return _dispatch(argv)


def _help(topics: list[str]) -> int:
    """`mlorch help run` is `mlorch run --help`."""
    if topics and topics[0] in COMMANDS:
        return _dispatch([topics[0], "--help"])
    Terminal("help", _options([])).raw(overview().rstrip("\n"))
    return 0


def _dispatch(argv: list[str]) -> int:
    from mlorch.cli import errors

    name, rest = argv[0], argv[1:]
    early = Terminal(name if name in COMMANDS else "", _options(argv))
    if name not in COMMANDS:
        return errors.usage(early, *_unknown(name))
    try:
        quick = _quickly(name, rest) if name in ("run", "backfill") else None
        if quick is not None or (name == "tick" and _nothing_due(rest)):
            return quick or 0
        from mlorch.cli.app import WrongUsage, load

        command = load(name)
        try:
            return int(command.main(rest, prog_name=f"mlorch {name}", standalone_mode=False) or 0)
        except WrongUsage as wrong:
            return errors.usage(early, _worded(wrong), f"mlorch {name} --help says what it takes")
    except KeyboardInterrupt:
        return 128 + 2
    except Exception as error:  # noqa: BLE001 - also what breaks while a command is being loaded is a bug of ours
        return errors.bug(early, error)


def _quickly(name: str, rest: list[str]) -> int | None:
    """`run` and `backfill` as they are mostly written; None when their parser must look."""
    from mlorch.cli import common, deliver, errors, quick

    if name == "run":
        run = quick.parse(rest)
        if run is None:
            return None
        terminal = Terminal(name, common.resolve(run[1]))
        return errors.guard(terminal, lambda: deliver.perform(terminal, run[0]))
    found = quick.parse_backfill(rest)
    if found is None:
        return None
    options, ask, given = found
    terminal = Terminal(name, common.resolve(given))
    return errors.guard(terminal, lambda: deliver.backfill(terminal, options, ask=ask))


def _nothing_due(rest: list[str]) -> bool:
    """Whether a plain `tick` is known to find nothing; False when it must look, or say something."""
    from mlorch.cli.quick import plain_tick
    from mlorch.model.errors import UsageError

    given = plain_tick(rest)
    if given is None:
        return False
    from mlorch.world.clock import SystemClock, parse_now
    from mlorch.world.idle import is_idle
    from mlorch.world.project import find_project

    try:
        moment = given["now"] or os.environ.get("MLORCH_NOW", "")
        clock = SystemClock(parse_now(moment) if moment else None)
        return is_idle(find_project(os.getcwd(), given["project"] or None), clock.now())
    except (UsageError, ValueError, OSError):
        return False


def _worded(wrong: Exception) -> str:
    """The parser's message in our manner: no capital, no full stop."""
    text = str(wrong.format_message()) if hasattr(wrong, "format_message") else str(wrong)
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _unknown(name: str) -> tuple[str, str]:
    from difflib import get_close_matches

    if any(name in option.names for option in GLOBALS):
        return (
            f"option {name} lacks its value, or no command follows",
            "mlorch --help lists the commands and what all of them take",
        )
    if name.startswith("-"):
        return f"no such option: {name}", "mlorch --help lists the commands and what all of them take"
    if name in LATER:
        return (
            f"`mlorch {name}` ({LATER[name]}) does not work yet in this version of mlorch",
            "mlorch --help lists what does",
        )
    near = get_close_matches(name, COMMANDS, n=1)
    meant = f"did you mean `mlorch {near[0]}`? " if near else ""
    return f"there is no command `{name}`", f"{meant}mlorch --help lists the commands"


def _options(argv: list[str]) -> GlobalOptions:
    """What can be told of the global options before, or without, a parser."""
    from mlorch.cli.common import resolve

    output = wanted_output(argv)
    return resolve({"output": output if output in OUTPUTS else "", "no_color": "--no-color" in argv})


def _complete() -> int:
    from mlorch.cli.app import group

    group().main(sys.argv[1:], prog_name="mlorch", complete_var=_COMPLETE)
    return 0
