"""One partition of one pipeline with everything that its steps' strings can see."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mlorch.engine.previous import last_attempt
from mlorch.engine.upstream import Reader, upstream_files, upstream_keys
from mlorch.lang.commands import executed, parse_command
from mlorch.lang.expressions import ExpressionError, NotKnownYet, has_expression, render, value_of
from mlorch.lang.globs import is_glob
from mlorch.lang.partitions import parse_label, partition_scope, split_key
from mlorch.lang.references import step_names
from mlorch.model.diagnostics import Diagnostic
from mlorch.model.errors import SpecError
from mlorch.model.spec import TimeDimension, Write
from mlorch.model.states import Reason, StepState
from mlorch.model.times import parse_iso

if TYPE_CHECKING:
    from datetime import datetime

    from mlorch.engine.graph import Graph
    from mlorch.lang.commands import Command
    from mlorch.lang.executed import Candidate
    from mlorch.lang.references import Names
    from mlorch.lang.zones import Window
    from mlorch.model.history import PartitionState
    from mlorch.model.manifest import Artifact, Checkpoint
    from mlorch.model.ports import Catalog, Files
    from mlorch.model.spec import Input, Pipeline, Step

METRICS = "metrics"


class PlannedOutput(NamedTuple):
    """An output of a step in this partition: `path` is final, without a closing `/`; `write` is decided."""

    name: str
    path: str
    is_folder: bool
    write: Write
    non_empty: bool = False
    temp: bool = False


class ResolvedInput(NamedTuple):
    """An input as it stands: `value` is what expressions see; `tracked` are (path, digest); `missing` texts for people."""

    name: str
    value: object
    tracked: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


@dataclass(slots=True)
class Context:
    """What decides about the steps of one partition: the spec, its parameters, the files, what is done.

    `settled` are the steps whose result counts in this pass: fresh, or ended well in this run. Only they lend their
    values, metrics and outputs to others. `states` are this run's states for `steps.x.state`. `wanted_again` are steps whose
    removed `temp` output a stale reader needs. `selected` are the steps that this run is about, `made_stale` those that a tick or a person says
    are to run again, and why. `now` is seconds since the epoch. `scheduled_at` is the tick that caused this run, None if none did.
    """

    pipeline: Pipeline
    graph: Graph
    state: PartitionState
    files: Files
    catalog: Catalog
    params: Mapping[str, Any] = field(default_factory=dict)
    project_env: tuple[tuple[str, str], ...] = ()
    inherited_env: dict[str, str] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, Any] = field(default_factory=dict)
    now: float = 0.0
    scheduled_at: datetime | None = None
    settled: set[str] = field(default_factory=set)
    states: dict[str, StepState] = field(default_factory=dict)
    wanted_again: set[str] = field(default_factory=set)
    selected: frozenset[str] = frozenset()
    made_stale: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    by_id: dict[str, Step] = field(default_factory=dict)
    _commands: dict[tuple[str | tuple[str, ...], str], Command] = field(default_factory=dict)
    _executed: dict[tuple[str | tuple[str, ...], str], tuple[Candidate, ...]] = field(default_factory=dict)
    _outputs: dict[str, tuple[PlannedOutput, ...]] = field(default_factory=dict)
    _writers: dict[str, str] = field(default_factory=dict)
    _names: dict[str, Names] = field(default_factory=dict)
    _partition: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        self.by_id = {step.id: step for step in self.pipeline.steps}
        self.selected = self.selected or frozenset(self.by_id)

    def begin(self) -> None:
        """Start a pass: nothing is settled but what stands of the steps that were not selected."""
        self.states.clear()
        self.settled = {step for step in self.by_id if step not in self.selected and step in self.state.checkpoints}

    def settle(self, step: str, state: StepState) -> None:
        """A step ended in this pass: from here on others see its result, or that there is none."""
        self.states[step] = state
        self.settled.add(step)

    @property
    def key(self) -> str:
        """The partition's key; "" without partitions."""
        return self.state.partition

    def command(self, step: Step) -> Command:
        """The step's command, parsed once; steps with the same text share it."""
        parsed = self._commands.get((step.run, step.shell))
        if parsed is None:
            parsed = self._commands[step.run, step.shell] = parse_command(step.run, step.shell)
        return parsed

    def executed(self, step: Step) -> tuple[Candidate, ...]:
        """What the step's command executes (see `lang.commands.executed`), worked out once like the command."""
        key = (step.run, step.shell)
        found = self._executed.get(key)
        if found is None:
            found = self._executed[key] = executed(self.command(step))
        return found

    def own_window(self) -> Window | None:
        """The time window of this partition, None without a time dimension."""
        dimensions = self.pipeline.partitions
        for dimension, label in zip(dimensions, split_key(dimensions, self.key), strict=True):
            if isinstance(dimension, TimeDimension):
                return parse_label(dimension, label)
        return None

    def reader(self, step: Step) -> Reader:
        """The step, as one that reads other partitions."""
        return Reader(self.pipeline.name, step.id, self.own_window())

    def partition(self) -> Mapping[str, object]:
        """What expressions see as `partition`."""
        if self._partition is None:
            self._partition = partition_scope(self.pipeline.partitions, self.key) if self.key else {"key": None}
        return self._partition

    def scope(
        self,
        step: Step,
        *,
        inputs: Mapping[str, object] | None = None,
        outputs: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """What the step's expressions see. `outputs` are the places to write to; the final paths if not given."""
        scope: dict[str, object] = {
            "params": self.params,
            "partition": self.partition(),
            "roots": self.roots,
            "git": self.git,
            "run": {"id": "", "scheduled_at": self.scheduled_at},
            "attempt": 1,
            "previous": self._previous(step),
            "steps": StepsView(self),
            "inputs": {} if inputs is None else inputs,
        }
        scope["outputs"] = {o.name: o.path for o in self.outputs(step)} if outputs is None else outputs
        if more:
            scope.update(more)
        return scope

    def _previous(self, step: Step) -> Mapping[str, object] | None:
        """What expressions see as `previous`; looked up only for steps whose strings may name it, since history is long."""
        above = (template for level in (self.project_env, self.pipeline.env) for _, template in level)
        if not any(name[0] == "previous" for name in self.names(step)) and not any("previous" in t for t in above):
            return None
        return last_attempt(self.state, step.id)

    def path_scope(self) -> dict[str, object]:
        """What paths of outputs see: nothing that only a run knows."""
        return {"params": self.params, "partition": self.partition(), "roots": self.roots, "git": self.git}

    def outputs(self, step: Step) -> tuple[PlannedOutput, ...]:
        """The step's outputs with their final paths; its metrics file is one of them, last.

        Raises `SpecError` for a path that leaves the project or that two steps write.
        """
        planned = self._outputs.get(step.id)
        if planned is None:
            planned = self._outputs[step.id] = tuple(self._plan_outputs(step))
            for output in planned:
                writer = self._writers.setdefault(output.path, step.id)
                if writer != step.id:
                    message = f"the steps {writer} and {step.id} both write {output.path}"
                    raise self.wrong(step, "E401", message, where=_output_keys(output.name))
        return planned

    def _plan_outputs(self, step: Step) -> Iterator[PlannedOutput]:
        for output in step.outputs:
            path = self.path(step, output.path, self.path_scope(), _output_keys(output.name))
            is_folder = output.path.endswith("/")
            yield PlannedOutput(
                output.name,
                path,
                is_folder,
                self._write(step, output.name, path, output.write),
                output.non_empty,
                output.temp,
            )
        if step.metrics:
            path = self.path(step, step.metrics, self.path_scope(), _output_keys(METRICS))
            yield PlannedOutput(METRICS, path, is_folder=False, write=self._write(step, METRICS, path, None))

    def _write(self, step: Step, name: str, path: str, said: Write | None) -> Write:
        """In place if it says so, or if a word of the command is the path and nothing refers to the staged one."""
        if said is not None:
            return said
        text = step.run if isinstance(step.run, str) else "\0".join(step.run)
        if path not in text and not has_expression(text):
            return Write.STAGE
        command = self.command(step)
        if command.mentions_output(name) or (name == METRICS and "MLORCH_METRICS" in text):
            return Write.STAGE
        return Write.IN_PLACE if path in map(self._plain_path, command.words) else Write.STAGE

    def _plain_path(self, word: str) -> str:
        """A word of a command as the path that it may be: evaluated as far as paths of outputs are, without a closing `/`."""
        try:
            text = render(word, self.path_scope()) if has_expression(word) else word
        except ExpressionError:  # it holds what no output's path can: it is none
            return ""
        return text.rstrip("/").removeprefix("./")

    def path(self, step: Step, template: str, scope: Mapping[str, object], where: tuple[str, ...] = ()) -> str:
        """A path of a step, evaluated and held to the project. Raises `SpecError`, as `wrong` makes it."""
        path = self.text(step, template, scope, where).rstrip("/")
        while path.startswith("./"):
            path = path[2:]
        if not path:
            raise self.wrong(step, "E402", f"the path `{template}` of step {step.id} is empty", where=where)
        if outside := self.files.outside(path):
            hint = "keep paths inside the project, or name a root for them"
            raise self.wrong(step, "E403", f"step {step.id}: {outside}", hint, where)
        return path

    def text(self, step: Step, template: str, scope: Mapping[str, object], where: tuple[str, ...] = ()) -> str:
        """`template` evaluated to text. Raises `SpecError` for what does not evaluate, as `wrong` makes it."""
        if not has_expression(template):
            return template
        try:
            return render(template, scope)
        except ExpressionError as error:
            raise self.wrong(step, "E404", f"step {step.id}: {error.message}", error.hint, where) from error

    def wrong(self, step: Step, code: str, message: str, hint: str = "", where: tuple[str, ...] = ()) -> SpecError:
        """A problem of the spec that shows only when its values are known. `where` are the keys below the step that lead to it."""
        keys = ("steps", step.id, *where) if where else ()
        return SpecError((Diagnostic(code, message, step.place, hint, keys=keys),))

    def writer(self, path: str) -> Step | None:
        """The step of this pipeline that writes `path` (or the folder output that holds it), if its outputs were planned."""
        found = self._writers.get(path)
        while found is None and "/" in path:
            path = path.rpartition("/")[0]
            found = self._writers.get(path)
        return self.by_id[found] if found is not None else None

    def inputs(self, step: Step) -> tuple[ResolvedInput, ...]:
        """The step's inputs as they stand. Raises `NotKnownYet` while a step that writes one has still to run."""
        for need in self.graph.needs[step.id]:
            if need not in self._outputs:
                self.outputs(self.by_id[need])
        return tuple(self._input(step, item) for item in step.inputs)

    def _input(self, step: Step, item: Input) -> ResolvedInput:
        if item.upstream is not None:
            return self._upstream_input(step, item)
        named, many = self._named(step, item)
        paths: list[str] = []
        missing: list[str] = []
        for pattern in named:
            if not is_glob(pattern):
                paths.append(pattern)
                continue
            many = True
            found = self.files.expand(pattern)
            paths.extend(found)
            if not found:
                missing.append(f"nothing matches {pattern}")
        tracked: list[tuple[str, str]] = []
        there: list[str] = []
        for path in dict.fromkeys(paths):
            digest = self._digest(path, item)
            if digest is None:
                missing.append(f"{path} is missing")
                continue
            there.append(path)
            if digest:
                tracked.append((path, digest))
            missing.extend(self._too_old(path, item))
        value = there if many else (there[0] if there else None)
        return ResolvedInput(item.name, value, tuple(tracked), tuple(missing) if item.required else ())

    def _named(self, step: Step, item: Input) -> tuple[list[str], bool]:
        """The paths and globs of an input with their expressions worked out, and whether expressions see a list."""
        scope = self.scope(step)
        named: list[str] = []
        many = item.is_list
        for template in item.paths:
            value = self._raw(step, template, scope, ("inputs", item.name))
            if value is None:
                continue
            many = many or isinstance(value, list)
            entries = value if isinstance(value, list) else (str(value),)
            named.extend(self.path(step, str(entry), {}, ("inputs", item.name)) for entry in entries)
        return named, many

    def expected_inputs(self, step: Step) -> dict[str, object]:
        """What `inputs` will be as far as the spec alone says so: files that a step before has still to write included."""
        expected: dict[str, object] = {}
        for item in step.inputs:
            try:
                named, many = self._named(step, item) if item.upstream is None else ([], True)
            except NotKnownYet:
                continue
            if named and not any(map(is_glob, named)):
                expected[item.name] = named if many else named[0]
        return expected

    def _raw(self, step: Step, template: str, scope: Mapping[str, object], where: tuple[str, ...]) -> object:
        try:
            return value_of(template, scope) if has_expression(template) else template
        except ExpressionError as error:
            raise self.wrong(step, "E404", f"step {step.id}: {error.message}", error.hint, where) from error

    def _digest(self, path: str, item: Input) -> str | None:
        """What stands for the input's content; "" if it is not tracked, None if it is missing."""
        writer = self.writer(path)
        if writer is not None:
            checkpoint = self.result(writer)
            for written in checkpoint.outputs if checkpoint else ():
                if written.path == path:
                    digest = self.digest_of(writer, written)
                    return "" if digest is not None and item.track.value == "none" else digest
        if item.track.value == "none":
            return "" if self.files.exists(path) else None
        if item.track.value == "mtime":
            changed = self.files.modified(path)
            return None if changed is None else f"mtime {changed:.6f}"
        artifact = self.files.look(path)
        return artifact.digest if artifact is not None else None

    def _too_old(self, path: str, item: Input) -> Iterator[str]:
        if item.max_age is None:
            return
        changed = self.files.modified(path)
        if changed is not None and self.now - changed > item.max_age:
            yield f"{path} is older than {item.max_age:g} s (max_age)"

    def _upstream_input(self, step: Step, item: Input) -> ResolvedInput:
        source = item.upstream
        assert source is not None  # noqa: S101 - the caller looked
        upstream = self.catalog.pipeline(source.pipeline)
        where = ("inputs", item.name, "pipeline")
        if upstream is None:
            message = f"step {step.id} reads the pipeline {source.pipeline}, which does not exist"
            raise self.wrong(step, "E405", message, where=where)
        where = ("inputs", item.name, "partitions")
        try:
            keys = upstream_keys(source, upstream, self.reader(step), self.path_scope(), self.catalog)
        except ExpressionError as error:
            raise self.wrong(step, "E404", f"step {step.id}: {error.message}", error.hint, where) from error
        except ValueError as error:
            raise self.wrong(step, "E406", f"step {step.id}, input {item.name}: {error}", where=where) from error
        own = [dim.name for dim in self.pipeline.partitions]
        found = upstream_files(source, upstream, keys, self.catalog, self.files, self.pipeline.name, own)
        paths = [artifact.path for artifact in found.artifacts]
        value: object = paths if found.is_list else (paths[0] if paths else None)
        tracked = tuple((artifact.path, artifact.digest) for artifact in found.artifacts)
        return ResolvedInput(item.name, value, tracked, found.missing if item.required else ())

    def result(self, step: Step) -> Checkpoint | None:
        """The standing result of a step of this pipeline.

        None if it has none that counts (it was skipped, or failed and tolerated). Raises `NotKnownYet` if it has still to run.
        """
        if step.id in self.settled:
            ended = self.states.get(step.id)
            if ended is not None and ended not in (StepState.SUCCEEDED, StepState.CACHED):
                return None
            return self.state.checkpoints.get(step.id)
        raise NotKnownYet(step.id)

    def digest_of(self, writer: Step, artifact: Artifact) -> str | None:
        """What stands for the content of an output; None if it is missing.

        A step outside the selection is not looked after by this run: there it is what stands on disk that counts.
        """
        if writer.id in self.selected or artifact.path in self.state.removed:
            return artifact.digest
        found = self.files.look(artifact.path, artifact)
        return found.digest if found is not None else None

    def age_of(self, at: str) -> float:
        """Seconds since an ISO time of a record."""
        return self.now - parse_iso(at).timestamp()

    def environment(self, step: Step, scope: Mapping[str, object]) -> dict[str, str]:
        """The variables that the spec sets for the step: project, pipeline, step, the later ones win.

        `env.X` in a value is what came before: the level above, then what mlorch itself was started with.
        """
        out: dict[str, str] = {}
        for level in (self.project_env, self.pipeline.env, step.env):
            above = dict(out)
            for name, template in level:
                seen = {**scope, "env": ChainMap(above, self.inherited_env)} if has_expression(template) else scope
                out[name] = self.text(step, template, seen, ("env", name) if level is step.env else ())
        return out

    def names(self, step: Step) -> Names:
        """Every dotted name that the step's strings refer to, found once."""
        found = self._names.get(step.id)
        if found is None:
            found = self._names[step.id] = step_names(step)
        return found


def _output_keys(name: str) -> tuple[str, ...]:
    return (METRICS,) if name == METRICS else ("outputs", name, "path")


def state_word(state: StepState) -> str:
    """`steps.x.state`. Whether a result was made now or before must not decide: the same call again would do something else."""
    return (StepState.SUCCEEDED if state is StepState.CACHED else state).value


class StepsView(Mapping[str, object]):
    """`steps` in expressions: each step's outputs, values, metrics and state, looked up when they are asked for.

    `place` makes of the path of an output what the reader is to see.
    """

    __slots__ = ("_context", "_place")

    def __init__(self, context: Context, place: Callable[[str], str] = str) -> None:
        self._context = context
        self._place = place

    def __getitem__(self, step_id: str) -> object:
        if step_id not in self._context.by_id:
            raise KeyError(step_id)
        return StepView(self._context, step_id, self._place)

    def __iter__(self) -> Iterator[str]:
        return iter(self._context.by_id)

    def __len__(self) -> int:
        return len(self._context.by_id)


class StepView(Mapping[str, object]):
    """`steps.x` in expressions."""

    __slots__ = ("_context", "_id", "_place")

    def __init__(self, context: Context, step_id: str, place: Callable[[str], str]) -> None:
        self._context = context
        self._id = step_id
        self._place = place

    def __iter__(self) -> Iterator[str]:
        return iter(("outputs", "values", "metrics", "state"))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, name: str) -> object:
        context = self._context
        step = context.by_id[self._id]
        if name == "outputs":
            return {output.name: self._place(output.path) for output in context.outputs(step)}
        if name == "state":
            state = context.states.get(self._id)
            if state is None or not state.ended:
                raise NotKnownYet(self._id)
            return state_word(state)
        if name in ("values", "metrics"):
            checkpoint = context.result(step)
            if checkpoint is None:
                return dict.fromkeys(value for value, _ in step.values)
            return json.loads(checkpoint.values if name == "values" else checkpoint.metrics)
        raise KeyError(name)
