"""From the words of the command line to pipelines, partitions, parameters and steps."""

from __future__ import annotations

import json
from os.path import abspath, lexists
from typing import TYPE_CHECKING, Any

from mlorch.lang.globs import is_glob, match
from mlorch.lang.keys import keys_of, pattern_parts
from mlorch.lang.params import check_value, coerce_text
from mlorch.lang.partitions import closed, closes_at, last_closed, parse_label, within
from mlorch.lang.values import holds_half_characters
from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.errors import FileError, NotReadyError, SpecError, UsageError
from mlorch.session.workspace import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from mlorch.model.spec import Pipeline, TimeDimension, ValueDimension
    from mlorch.session.workspace import Workspace


def select_pipelines(workspace: Workspace, words: Iterable[str]) -> tuple[Pipeline, ...]:
    """The pipelines that the words name, what one needs before what needs it, each once.

    A word is a name, a file, a glob, `tag:x`, `kind:x`, `owner:x`, `+name` (with what it needs) or `name+` (with what needs
    it). Raises `UsageError` for a word that names nothing.
    """
    chosen: dict[str, Pipeline] = {}
    single = True
    for word in words:
        found = _one_word(workspace, word)
        single = single and len(found) == 1
        chosen.update((pipeline.name, pipeline) for pipeline in found)
    if single and len(chosen) == 1:
        return tuple(chosen.values())
    needs = pipeline_needs(chosen.values())
    return tuple(chosen[name] for name in in_order(needs))


def one_pipeline(workspace: Workspace, word: str) -> Pipeline:
    """The one pipeline that the word names. Raises `UsageError` if there are several."""
    found = select_pipelines(workspace, (word,))
    if len(found) > 1:
        names = ", ".join(pipeline.name for pipeline in found)
        raise UsageError(f"`{word}` names {len(found)} pipelines, and this command takes one", f"name one of {names}")
    return found[0]


def _one_word(workspace: Workspace, word: str) -> tuple[Pipeline, ...]:
    if "/" in word or word.endswith((".yaml", ".yml")):
        path = abspath(word)
        if not lexists(path):
            raise UsageError(f"there is no file {word}", "`mlorch graph` shows the pipelines of this project")
        return (workspace.load_file(path.removeprefix(workspace.root.rstrip("/") + "/")),)
    if word.startswith("+") or word.endswith("+"):
        name = word.strip("+")
        start = workspace.named(name).name
        needs = pipeline_needs(workspace.selectable())
        reached = {start}
        if word.startswith("+"):
            reached |= _reach(start, needs)
        if word.endswith("+"):
            reached |= _reach(start, {n: {r for r, before in needs.items() if n in before} for n in needs})
        return tuple(pipeline for pipeline in workspace.pipelines() if pipeline.name in reached)
    method, colon, wanted = word.partition(":")
    if not colon and not is_glob(word):
        return (workspace.named(word),)
    tests: dict[str, Callable[[Pipeline], bool]] = {
        "tag": lambda p: any(match(wanted, tag) for tag in p.tags),
        "kind": lambda p: p.kind.value == wanted,
        "owner": lambda p: wanted in (p.owner.name, p.owner.email, p.owner.email.partition("@")[0]),
        "": lambda p: match(word, p.name),
    }
    test = tests.get(method if colon else "")
    if test is None:
        raise UsageError(
            f"`{word}` selects nothing: there is no selection `{method}:`", "use a name, a glob, tag:, kind: or owner:"
        )
    found = tuple(pipeline for pipeline in workspace.selectable() if test(pipeline))
    if not found:
        if workspace.passed_over:  # it may mean these
            raise SpecError(workspace.passed_over)
        raise UsageError(f"`{word}` selects no pipeline", "`mlorch status` lists them all")
    return found


def pipeline_needs(pipelines: Iterable[Pipeline]) -> dict[str, set[str]]:
    """For each pipeline the others that its inputs read."""
    return {
        pipeline.name: {
            item.upstream.pipeline
            for step in pipeline.steps
            for item in step.inputs
            if item.upstream is not None and item.upstream.pipeline != pipeline.name
        }
        for pipeline in pipelines
    }


def in_order(needs: Mapping[str, set[str]]) -> list[str]:
    """Names with those that they need before them; what lies on a circle comes in the order given."""
    done: list[str] = []
    left = dict(needs)
    while left:
        ready = [name for name, before in left.items() if not (before & left.keys())] or [next(iter(left))]
        done.extend(ready)
        for name in ready:
            del left[name]
    return done


def _reach(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = [start]
    while stack:
        for other in edges.get(stack.pop(), ()):
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen


def partition_keys(
    workspace: Workspace, pipeline: Pipeline, wanted: Iterable[str], now: datetime
) -> tuple[tuple[str, ...], str]:
    """The keys to run, and a note where mlorch chose: without `-p` the window that closed last, with all its values.

    A key that ends early or holds `*` means all that fit. Raises `UsageError` for a key that is none, `NotReadyError` for a
    window that is still open.
    """
    wanted = tuple(wanted)
    dims = pipeline.partitions
    dimension = pipeline.time_dimension
    if not dims:
        if wanted:
            raise UsageError(f"{pipeline.name} has no partitions, so -p {wanted[0]} names nothing")
        return ("",), ""
    if wanted:
        keys = (key for pattern in wanted for key in _meant_keys(workspace, pipeline, pattern, now))
        return tuple(dict.fromkeys(keys)), ""
    if dimension is None:
        return tuple(all_keys(workspace, pipeline, ())), ""
    window = last_closed(dimension, now)
    if window is None:
        raise NotReadyError(
            f"no window of {pipeline.name} has closed yet", f"its first one is {dimension.start or 'today'}"
        )
    keys_ = tuple(all_keys(workspace, pipeline, (window.label,)))
    return keys_, f"{pipeline.name}: the window that closed last is {window.label}"


def all_keys(workspace: Workspace, pipeline: Pipeline, times: Iterable[str]) -> Iterable[str]:
    """The keys of those windows (of all there is, without a time dimension), with all values. Raises `SpecError`, `NotReadyError`."""
    return keys_of(pipeline.partitions, times, lambda dim: workspace.labels(pipeline, dim))


def _meant_keys(workspace: Workspace, pipeline: Pipeline, pattern: str, now: datetime) -> Iterable[str]:
    dims, dimension = pipeline.partitions, pipeline.time_dimension
    try:
        parts = dict(zip((dim.name for dim in dims), pattern_parts(dims, pattern), strict=True))
    except ValueError as error:
        raise UsageError(f"-p {pattern} is no partition of {pipeline.name}: {error}") from error
    times: Iterable[str] = ()
    if dimension is not None:
        label = parts[dimension.name]
        if label != "*":
            times = (closed_label(pipeline, dimension, label, now),)
        elif dimension.start:
            times = (window.label for window in closed(dimension, now))
        else:
            raise UsageError(f"-p {pattern}: {dimension.name} has no `start`, so `*` has no first window", "name one")

    def labels(dim: ValueDimension) -> tuple[str, ...]:
        wanted, known = parts[dim.name], workspace.labels(pipeline, dim)
        if wanted == "*":
            return known
        if wanted not in known:
            raise UsageError(
                f"-p {pattern} is no partition of {pipeline.name}: there is no {dim.name} `{wanted}`{meant(wanted, list(known))}"
            )
        return (wanted,)

    return keys_of(dims, times, labels)


def known_label(pipeline: Pipeline, dimension: TimeDimension, label: str, option: str = "-p") -> str:
    """The label, in its canonical form; `option` named it. Raises `UsageError` if it is none of this pipeline's."""
    try:
        window = parse_label(dimension, label)
    except ValueError as error:
        raise UsageError(f"{option} {label} is no partition of {pipeline.name}: {error}") from error
    if not within(dimension, window):
        raise UsageError(
            f"{option} {label} is no partition of {pipeline.name}, "
            f"which has {dimension.start or '…'} to {dimension.end or 'now'}"
        )
    return window.label


def is_closed(dimension: TimeDimension, label: str, now: datetime) -> bool:
    """Whether the label names a window of the dimension that is over, `lag` included."""
    window = parse_label(dimension, label)
    return within(dimension, window) and closes_at(dimension, window) <= now


def closed_label(pipeline: Pipeline, dimension: TimeDimension, label: str, now: datetime) -> str:
    """As `known_label`. Raises `NotReadyError` while its window is open."""
    label = known_label(pipeline, dimension, label)
    closing = closes_at(dimension, parse_label(dimension, label))
    if closing > now:
        raise NotReadyError(
            f"{pipeline.name} {label} is still open: it closes at {closing.isoformat()}", "run it after that time"
        )
    return label


def known_parameters(pipelines: Iterable[Pipeline], given: Iterable[tuple[str, str]], file: str) -> None:
    """Raises `SpecError` for parameters that none of the pipelines has; each takes those that it knows."""
    known = sorted({param.name for pipeline in pipelines for param in pipeline.params})
    problems = [
        Diagnostic(
            "E410",
            f"{source}: none of these pipelines has a parameter `{name}`{meant(name, known)}",
            None,
            f"their parameters: {', '.join(known)}" if known else "they have no parameters",
        )
        for source, names in (
            (f"--params-file {file}", _params_file(file) if file else ()),
            ("--param", (name for name, _ in given)),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise SpecError(tuple(problems))


def parameters(
    workspace: Workspace,
    pipeline: Pipeline,
    given: Iterable[tuple[str, str]],
    file: str,
    *,
    strict: bool = True,
    before: Iterable[tuple[str, Any]] = (),
) -> dict[str, Any]:
    """The value of every parameter: `--param`, then the file, those of the run `before`, the project's, the default.

    Raises `SpecError` for unknown names (unless not `strict`), values that do not fit and parameters without one.
    """
    known = {param.name: param for param in pipeline.params}
    problems: list[Diagnostic] = []
    values: dict[str, Any] = {param.name: param.default for param in pipeline.params if param.has_default}
    values |= {name: value for name, value in workspace.project.params if name in known}
    for source, items, read in (
        ("that run's parameter", before, _checked),
        (f"--params-file {file}", _params_file(file).items() if file else (), _checked),
        ("--param", given, coerce_text),
    ):
        for name, value in items:
            param = known.get(name)
            if param is None:
                if strict:
                    hint = f"its parameters: {', '.join(known)}" if known else "it has no parameters"
                    problems.append(
                        Diagnostic(
                            "E410",
                            f"{source}: {pipeline.name} has no parameter `{name}`{meant(name, list(known))}",
                            None,
                            hint,
                        )
                    )
                continue
            try:
                values[name] = read(param, value)
            except ValueError as error:
                problems.append(Diagnostic("E411", f"{source} {name}: {error}"))
    problems.extend(
        Diagnostic(
            "E412",
            f"the parameter `{name}` of {pipeline.name} has no value",
            Place(pipeline.file),
            f"give it: --param {name}=…",
        )
        for name in known
        if name not in values
    )
    if problems:
        raise SpecError(tuple(problems))
    return values


def _checked(param: Any, value: Any) -> Any:
    check_value(param, value)
    return value


def _params_file(file: str) -> dict[str, Any]:
    """A JSON or YAML mapping of parameters."""
    from mlorch.spec.source import read
    from mlorch.world.project import read_file

    try:
        data = read_file(file)
    except FileError as error:
        raise SpecError(
            (Diagnostic("E413", f"--params-file: {error.message}", None, "give a YAML or JSON file"),)
        ) from error
    if file.endswith(".json"):
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SpecError((Diagnostic("E413", f"--params-file {file} is no JSON: {error}"),)) from error
        if holds_half_characters(found):
            raise SpecError((Diagnostic("E413", f"--params-file {file} holds half a character (a lone surrogate)"),))
        if not isinstance(found, dict):
            raise SpecError((Diagnostic("E413", f"--params-file {file} holds no mapping of names to values"),))
        return found
    found = read(data, file)
    if {problem.code for problem in found.diagnostics} & {"E110", "E111"}:
        raise SpecError((Diagnostic("E413", f"--params-file {file} holds no mapping of names to values"),))
    if found.data is None or found.diagnostics:
        raise SpecError(found.diagnostics)
    return dict(found.data)


def step_ids(pipeline: Pipeline, option: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The ids, all of them steps of the pipeline. Raises `UsageError`."""
    known = [step.id for step in pipeline.steps]
    for step in wanted:
        if step not in known:
            raise UsageError(
                f"{option} {step}: {pipeline.name} has no step `{step}`{meant(step, known)}",
                f"its steps: {', '.join(known[:20])}",
            )
    return tuple(wanted)
