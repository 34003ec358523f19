"""The commands as typer sees them: each is imported when it is called, and each takes the global options."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info

from mlorch.cli.catalogue import COMMANDS, GLOBALS, overview
from mlorch.cli.common import check_output, resolve
from mlorch.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
# The class is not exported by every version of typer; its children are.
WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]


class Command(TyperCommand):
    """A command with the global options; what it returns is the exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = len(self.params)
        self.params += [
            TyperOption(
                param_decls=list(option.names),
                metavar=option.metavar or None,
                help=option.help,
                is_flag=not option.metavar,
                type=bool if not option.metavar else str,
                default=False if not option.metavar else None,
            )
            for option in GLOBALS
        ]

    def invoke(self, ctx: Any) -> int:
        """Take the global options out, then do the work under the one guard."""
        from mlorch.cli.errors import guard

        given = {_name(option.names): ctx.params.pop(_name(option.names)) for option in GLOBALS}
        terminal = Terminal(self.name or "", resolve(given))
        ctx.obj = terminal

        def work() -> int:
            check_output(terminal.options)
            return int(super(Command, self).invoke(ctx) or 0)

        return guard(terminal, work)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options of the command first, those of every command below."""
        everything = self.params
        own, shared = everything[: self.own], everything[self.own :]
        for title, params in (
            ("Arguments", [param for param in own if param.param_type_name == "argument"]),
            ("Options", [param for param in own if param.param_type_name == "option"] + [self.get_help_option(ctx)]),
            ("Options of every command", shared),
        ):
            records = [param.get_help_record(ctx) for param in params if param is not None]
            rows = [record for record in records if record is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parent's signature
        """Examples keep their lines."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("\n".join(line.rstrip() for line in self.epilog.splitlines()) + "\n")


class Commands(TyperGroup):
    """All commands, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parent's signature
        """In the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the parent's signature
        """None when there is no such command."""
        return load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parent's signature
        """The overview."""
        formatter.write(overview())


def theme() -> typer.Typer:
    """What a module declares its commands on."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def command(app: typer.Typer, name: str, examples: str) -> Callable[[Any], Any]:
    """Declare a command; its docstring is its help, `examples` are lines of a shell."""
    epilog = "Examples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
    return app.command(name, cls=Command, epilog=epilog, context_settings=HELP)


def load(name: str) -> Any:
    """The command of that name, imported; None when there is none."""
    entry = COMMANDS.get(name)
    if entry is None:
        return None
    app: typer.Typer = import_module(f"mlorch.cli.{entry.module}").app
    for info in app.registered_commands:
        if info.name == name:
            return get_command_from_info(info, pretty_exceptions_short=True, rich_markup_mode=None)
    return None


def group() -> Commands:
    """All of them, for shell completion."""
    return Commands(name="mlorch", rich_markup_mode=None, help="mlorch")


def _name(names: tuple[str, ...]) -> str:
    return next(name for name in names if name.startswith("--")).removeprefix("--").replace("-", "_")
