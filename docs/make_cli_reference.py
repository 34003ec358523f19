# ruff: noqa: INP001 - a script, no package
"""Write docs/cli.md from what the commands say of themselves: `python docs/make_cli_reference.py`.

A test compares the file with what this script makes, so that it cannot fall behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlorch.cli.app import load
from mlorch.cli.catalogue import SECTIONS, overview

HERE = Path(__file__).parent
WIDTH = 96

HEAD = """\
# The command line

<!-- Made by docs/make_cli_reference.py from the commands' own help. Change that, then run it again. -->

Everything a person, a crontab line or a GitHub Actions step does with mlorch.
"""

CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | the wanted state is reached: it ran, or nothing was to be done |
| 1 | a step or partition failed, or this machine lacks what a command needs |
| 2 | the command line is wrong (also an unknown pipeline, step, partition or run) |
| 3 | a spec, project file, parameter, secret or engine setting is wrong; nothing ran |
| 4 | done but incomplete: tolerated failures, or warnings under `--strict` |
| 5 | not ready: inputs or upstream partitions are missing, or the window is still open |
| 6 | busy: the partition or a pool is held by another run (`--if-busy fail`, or the wait ran out) |
| 8 | `--exit-code` of `plan`, `cron check`, `github check`: something would change |
| 9 | the state cannot be read or written |
| 10 | a bug of mlorch: the traceback is in a file, and its path is printed |
| 11 | cancelled |
| 12 | the run timed out as a whole (a step that timed out is a failed step: 1) |
| 128+N | ended by signal N, state saved |

When several apply, the first of 10, 9, 3, 128+N, 12, 1, 11, 5, 6, 4, 0 is taken. A reader that closes its end of a pipe is no error.
"""

JSON = """\
## JSON

With `-o json` there is one document on stdout, and all else is on stderr:

```json
{"schema": 1, "command": "run", "exit_code": 0, "data": {}, "problems": []}
```

`problems` are the same for all commands: `code, severity, file, line, column, message, hint`. What is absent is `null`; times are
ISO 8601 in UTC with `Z`, durations seconds, sizes bytes. When a command cannot do its work (exit codes 2, 3, 5, 6, 9 and 10), `data` is empty
and `problems` say why. What stands in `data`:

| command | fields | schema |
|---|---|---|
"""


def help_of(name: str) -> str:
    """What `mlorch NAME --help` says, at a fixed width."""
    command: Any = load(name)
    context = command.context_class(command, info_name=f"mlorch {name}", terminal_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    return str(command.get_help(context))


def fields(schema: dict[str, Any]) -> str:
    """The first level of `data`, and the second of its lists."""
    told = []
    for name, value in schema["properties"]["data"].get("properties", {}).items():
        item = value.get("items", {})
        if "$ref" in item:
            item = schema["definitions"][item["$ref"].rsplit("/", 1)[-1]]
        inner = ", ".join(f"`{field}`" for field in item.get("properties", {}))
        told.append(f"`{name}[]`: {inner}" if inner else f"`{name}`")
    return "; ".join(told)


def render() -> str:
    """The whole page."""
    parts = [HEAD, f"```text\n{overview()}```\n"]
    for title, commands in SECTIONS:
        parts.append(f"## {title}\n")
        parts += [f"### mlorch {name}\n\n```text\n{help_of(name)}\n```\n" for name in commands]
    parts.append(CODES)
    rows = []
    for path in sorted((HERE.parent / "schemas" / "output").glob("*.schema.json")):
        schema = json.loads(path.read_text("utf-8"))
        commands_said = schema["properties"]["command"].get("enum")
        if commands_said:
            names = ", ".join(f"`{name}`" for name in commands_said)
            rows.append(f"| {names} | {fields(schema)} | [{path.name}](../schemas/output/{path.name}) |\n")
    parts.append(JSON + "".join(rows))
    return "\n".join(parts)


if __name__ == "__main__":
    (HERE / "cli.md").write_text(render(), "utf-8")
