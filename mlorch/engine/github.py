"""A GitHub Actions workflow as text: for a project, or for one of its pipelines with all its parameters."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from mlorch.engine.crontab import Drift
from mlorch.engine.github_times import calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlorch.model.spec import JsonValue, Param, Pipeline, Secret

WHAT_IS_DUE = "(what is due)"
MOST_INPUTS = 10
"""GitHub once took no more, and some checkers of workflows still say so."""

CHECKOUT = "actions/checkout@v4"
PIPELINE, PARTITION, PARAMS = "pipeline", "partition", "params"
_RESERVED = frozenset({PIPELINE, PARTITION, PARAMS})
_USES = re.compile(r"(\buses:\s*[^@\s]+)@.*")
_NAME = re.compile(r"(?!GITHUB_)[A-Za-z_][A-Za-z0-9_]*")


class Wish(NamedTuple):
    """What a workflow is made for: `pipeline` is "" for the whole project, `folder` the project's in the repository ("" for its top).

    `action` is what `uses:` names, `setup` lines of a shell, `requirements` a file for pip, `profile` one of mlorch.yaml ("" for none).
    """

    action: str
    pipeline: str = ""
    folder: str = ""
    setup: str = ""
    requirements: str = ""
    profile: str = ""

    @property
    def slug(self) -> str:
        """`-sub-dir` for a project that is not at the top of its repository, else ""."""
        return "-" + re.sub(r"[^A-Za-z0-9]+", "-", self.folder).strip("-") if self.folder else ""

    @property
    def branch(self) -> str:
        """Where the state is kept."""
        return f"mlorch-state{self.slug}"

    @property
    def file(self) -> str:
        """The workflow's file, relative to the repository."""
        return f".github/workflows/mlorch{self.slug}{'.' if self.pipeline else ''}{self.pipeline}.yml"


class Input(NamedTuple):
    """An input of `workflow_dispatch`. `kind` is `string`, `boolean` or `choice`; `default` None for none."""

    id: str
    kind: str
    description: str
    default: str | bool | None = None
    options: tuple[str, ...] = ()
    required: bool = False


def workflow(wish: Wish, command: str, pipelines: Sequence[Pipeline], secrets: Sequence[Secret]) -> str:
    """The file's text. `command` is the line that made it, for the reader and for `check`; `secrets` are those of the project file."""
    chosen = [pipeline for pipeline in pipelines if wish.pipeline in ("", pipeline.name)]
    title = f"mlorch {wish.pipeline}".strip() + (f" in {wish.folder}" if wish.folder else "")
    lines = [
        f"# Made by: {_one_line(command)}",
        "# `mlorch github check` compares it with the pipelines. The version behind an @ is yours to change.",
        f"name: {_quoted(title)}",
        "",
        "on:",
        *_schedule(wish, chosen),
        "  workflow_dispatch:",
        *_inputs(inputs(chosen, alone=bool(wish.pipeline))),
        "",
        "permissions: {}",
        "",
        "# One at a time, and none is cut off: they share the state.",
        "concurrency:",
        f"  group: mlorch{wish.slug}",
        "  cancel-in-progress: false",
        "",
        *_job(wish, chosen, secrets),
    ]
    return "\n".join(lines) + "\n"


def _schedule(wish: Wish, chosen: Sequence[Pipeline]) -> Iterator[str]:
    if wish.pipeline:
        return
    lines = calls(wish.folder or "mlorch", chosen)
    if lines:
        yield "  # In UTC, a few minutes after what is due; a zone with summer time has a line for either. Calling too often does no harm:"
        yield "  # mlorch decides what is due, and catches up with what GitHub dropped."
        yield "  schedule:"
    for call in lines:
        yield f"    - cron: '{call.cron}' # {_one_line(call.why)}"


def _job(wish: Wish, chosen: Sequence[Pipeline], secrets: Sequence[Secret]) -> Iterator[str]:
    yield "jobs:"
    yield "  mlorch:"
    yield "    runs-on: ubuntu-latest"
    yield "    timeout-minutes: 360"
    yield "    permissions:"
    yield f"      contents: write # for the branch {wish.branch}"
    yield "    env:"
    if wish.pipeline:
        yield f"      MLORCH_PIPELINE_CHOSEN: {wish.pipeline}"
    yield "      MLORCH_INPUTS: ${{ toJSON(inputs) }}"
    for name in sorted({name for pipeline in chosen for name in _variables((*secrets, *pipeline.secrets))}):
        yield f"      {name}: ${{{{ secrets.{name} }}}}"
    yield "    steps:"
    yield f"      - uses: {CHECKOUT}"
    yield "        with:"
    yield "          persist-credentials: false"
    yield f"      - uses: {wish.action}"
    yield "        with:"
    yield "          command: github run" + (f" --profile {wish.profile}" if wish.profile else "")
    yield f"          state-branch: {wish.branch}"
    for key, value in (("project", wish.folder), ("requirements", wish.requirements), ("setup", wish.setup)):
        if value:
            yield f"          {key}: {_quoted(value)}"


def _variables(secrets: Iterable[Secret]) -> Iterator[str]:
    """Secrets that come from variables, as far as GitHub allows their names."""
    return (secret.value for secret in secrets if secret.source == "env" and _NAME.fullmatch(secret.value))


def inputs(pipelines: Sequence[Pipeline], *, alone: bool) -> tuple[Input, ...]:
    """What a person may say: which pipeline (`alone`: there is no question), which partition, and its parameters.

    Parameters share one field if they are too many.
    """
    first: list[Input] = []
    if not alone:
        names = (WHAT_IS_DUE, *(pipeline.name for pipeline in pipelines))
        usual = names[1] if len(pipelines) == 1 else WHAT_IS_DUE
        about = "What to run; the fields below are for a pipeline that is named, not for what is due"
        first.append(Input(PIPELINE, "choice", about, usual, names))
    if any(pipeline.partitions for pipeline in pipelines):
        first.append(Input(PARTITION, "string", "Which partition (empty: the window that closed last)"))
    typed = [
        _input(key, param, alone=alone, of="" if len(pipelines) == 1 else ", ".join(owners))
        for key, (param, owners) in sorted_params(pipelines).items()
    ]
    if len(first) + len(typed) > MOST_INPUTS:
        hint = 'Parameters as JSON, such as {"trees": 100}'
        more = "" if alone else " (fields for each: mlorch github show PIPELINE)"
        typed = [Input(PARAMS, "string", hint + more)]
    return (*first, *typed)


def sorted_params(pipelines: Sequence[Pipeline]) -> dict[str, tuple[Param, list[str]]]:
    """Input ids with their parameter and the pipelines that it belongs to, in the order of the files.

    A name that means different things, or one of ours, gets its pipeline in front: `delay_model-trees`.
    """
    meanings: dict[str, set[tuple[str, str, bool, str]]] = {}
    for pipeline in pipelines:
        for param in pipeline.params:
            meanings.setdefault(param.name, set()).add(_comparable(param))
    found: dict[str, tuple[Param, list[str]]] = {}
    for pipeline in pipelines:
        for param in pipeline.params:
            unclear = len(meanings[param.name]) > 1 or param.name in _RESERVED
            key = f"{pipeline.name}-{param.name}" if unclear else param.name
            found.setdefault(key, (param, []))[1].append(pipeline.name)
    return found


def _comparable(param: Param) -> tuple[str, str, bool, str]:
    return (param.schema, json.dumps(param.default, sort_keys=True), param.has_default, param.description)


def _input(key: str, param: Param, *, alone: bool, of: str) -> Input:
    schema: dict[str, Any] = json.loads(param.schema) if param.schema else {}
    types = schema.get("type", _type(param.default) if param.has_default else "string")
    told = [param.description or param.name.replace("_", " "), *_limits(schema, types)]
    description = ", ".join(told) + (f" [{of}]" if of else "")
    needed = alone and not param.has_default
    choices = schema.get("enum")
    if (
        isinstance(choices, list)
        and choices
        and all(isinstance(item, (str, int, float)) and item != "" for item in choices)
    ):
        default = _text(param.default) if param.has_default else None
        return Input(key, "choice", description, default, tuple(_text(item) for item in choices), required=needed)
    if types == "boolean" and isinstance(param.default, bool):
        return Input(key, "boolean", description, param.default)
    default = _text(param.default) if param.has_default and param.default is not None else None
    if default is not None and ("\n" in default or "\r" in default):
        default = None
    return Input(key, "string", description, default or None, required=needed)


def _type(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "string"


def _limits(schema: dict[str, Any], types: Any) -> Iterator[str]:
    """What may be typed into a field that GitHub takes for text."""
    if types in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        span = f" from {low}" * (low is not None) + f" to {high}" * (high is not None)
        yield f"{'a whole number' if types == 'integer' else 'a number'}{span}"
    elif types in ("array", "object"):
        yield "as JSON"


def _text(value: JsonValue) -> str:
    """A value as a person types it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _inputs(found: Sequence[Input]) -> Iterator[str]:
    if found:
        yield "    inputs:"
    for item in found:
        yield f"      {item.id}:"
        yield f"        description: {_quoted(item.description)}"
        yield f"        type: {item.kind}"
        if item.required:
            yield "        required: true"
        if item.options:
            yield "        options:"
            yield from (f"          - {_quoted(option)}" for option in item.options)
        if isinstance(item.default, bool):
            yield f"        default: {str(item.default).lower()}"
        elif item.default is not None:
            yield f"        default: {_quoted(item.default)}"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _quoted(text: str) -> str:
    """A YAML string on one line, in which GitHub sees no expression. Line ends need double quotes."""
    text = text.replace("${{", "$ {{")
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text)


def drift(wish: Wish, wanted: str, found: str) -> tuple[Drift, ...]:
    """How the file in the repository differs from what `workflow` gives; versions behind an `@` do not count."""
    new = [_USES.sub(r"\1@", line.rstrip()) for line in wanted.splitlines()]
    old = [_USES.sub(r"\1@", line.rstrip()) for line in found.splitlines()]
    shown_new, shown_old = wanted.splitlines(), found.splitlines()
    differs: list[Drift] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            for offset, (was, will) in enumerate(zip_longest(shown_old[i:j], shown_new[k:m], fillvalue="")):
                differs.append(Drift(f"{wish.file}:{min(i + offset, max(j - 1, i)) + 1}", will, was))
    return tuple(differs)
