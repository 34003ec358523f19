"""Jobs for the runner: one a partition, with its context, journal, lock and secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlorch.engine.context import Context
from mlorch.engine.graph import graph_of, select
from mlorch.engine.upstream import upstream_keys
from mlorch.lang.expressions import ExpressionError
from mlorch.lang.keys import time_label
from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.errors import SpecError
from mlorch.model.states import Reason, StepState
from mlorch.runner.loop import Job
from mlorch.session.claims import Claims
from mlorch.session.selection import is_closed, parameters, step_ids
from mlorch.world import git, secrets
from mlorch.world.journal import FileJournal
from mlorch.world.locks import LockFile
from mlorch.world.machine import boot_id, host, start_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from mlorch.engine.agenda import Mark
    from mlorch.engine.graph import Graph
    from mlorch.lang.commands import Command
    from mlorch.lang.executed import Candidate
    from mlorch.lang.references import Names
    from mlorch.model.history import PartitionState, RunRecord
    from mlorch.model.pools import Shortage
    from mlorch.model.spec import Pipeline
    from mlorch.runner.recorder import RunFacts
    from mlorch.session.workspace import Workspace
    from mlorch.world.pools import FilePools, FileSlots
    from mlorch.world.sweeping import Sweeper


class GitFacts(dict[str, Any]):
    """`git` in expressions and records: looked up when first asked for, since it may start a process. No commit is null."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root

    def __missing__(self, name: str) -> object:
        if name == "commit":
            value: object = git.commit(self._root) or None
        elif name == "dirty":
            value = git.is_dirty(self._root)
        else:
            raise KeyError(name)
        self[name] = value
        return value

    def get(self, name: str, default: object = None) -> object:
        """As of a dictionary that has both entries."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return name in ("commit", "dirty")


class Selected:
    """A pipeline with what the command line says about it: parameters and steps, the same for all its partitions."""

    def __init__(
        self,
        pipeline: Pipeline,
        params: Mapping[str, Any],
        *,
        only: Iterable[str] = (),
        start: Iterable[str] = (),
        until: Iterable[str] = (),
        force: bool = False,
        force_steps: Iterable[str] = (),
        due: str = "",
        scheduled_at: datetime | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.scheduled_at = scheduled_at
        self.params = params
        self.graph: Graph = graph_of(pipeline)
        only, start, until = (
            step_ids(pipeline, "--only", only),
            step_ids(pipeline, "--from", start),
            step_ids(pipeline, "--until", until),
        )
        self.steps = select(self.graph, only, start, until)
        self.forced = frozenset(self.steps) if force else frozenset()
        self.forced |= frozenset(step_ids(pipeline, "--force-step", force_steps))
        words = [*(f"--only {s}" for s in only), *(f"--from {s}" for s in start), *(f"--until {s}" for s in until)]
        self.words = (*words, *(["--force"] if force else []), *(f"--force-step {s}" for s in force_steps))
        self.due = f"--due {due}" if due else ""
        # What is read out of the spec's strings is the same for all partitions.
        self.commands: dict[tuple[str | tuple[str, ...], str], Command] = {}
        self.executed: dict[tuple[str | tuple[str, ...], str], tuple[Candidate, ...]] = {}
        self.names: dict[str, Names] = {}
        self.words += (self.due,) if due else ()

    def made_stale(self, state: PartitionState, mark: Mark | None) -> dict[str, tuple[Reason, str]]:
        """The steps that are to run again, but for what was done since: all of a partition marked as missing, those without inputs for a tick."""
        if mark is not None and mark.state == "missing":
            done = _done(run for run in state.runs if run.started_at >= mark.at)
            why = (Reason.MARKED, f"marked as missing: {mark.reason}")
            return {step.id: why for step in self.pipeline.steps if step.id not in done}
        if not self.due:
            return {}
        done = _done(run for run in state.runs if self.due in run.selection)
        roots = (step.id for step in self.pipeline.steps if not step.inputs and not self.graph.needs[step.id])
        return {step: (Reason.DUE, "its tick came") for step in roots if step not in done}


def _done(runs: Iterable[RunRecord]) -> frozenset[str]:
    return frozenset(s.id for run in runs for s in run.steps.values() if s.state is StepState.SUCCEEDED)


class Jobs:
    """Makes contexts and jobs of one command."""

    def __init__(self, workspace: Workspace, environment: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._environment = dict(environment)
        self.git = GitFacts(workspace.root)
        self._claims = Claims(dict(workspace.project.roots), self.git)
        self._secrets: dict[str, Mapping[str, str]] = {}
        self._groups: FilePools | None = None

    def context(self, selected: Selected, key: str) -> Context:
        """What the decision about a partition sees now."""
        workspace = self._workspace
        state = workspace.state(selected.pipeline.name, key)
        return Context(
            selected.pipeline,
            selected.graph,
            state,
            workspace.files,
            workspace,
            params=selected.params,
            project_env=workspace.project.env,
            inherited_env=self._environment,
            roots=dict(workspace.project.roots),
            git=self.git,
            now=workspace.clock.now().timestamp(),
            scheduled_at=selected.scheduled_at,
            selected=selected.steps,
            _commands=selected.commands,
            _executed=selected.executed,
            _names=selected.names,
            made_stale=selected.made_stale(state, workspace.mark(selected.pipeline.name, key)),
        )

    def job(self, selected: Selected, key: str, after: tuple[Job, ...] = ()) -> Job:
        """The job of one partition. Raises `SpecError` if it would write where another one of this command does."""
        self._claims.add(selected.pipeline, selected.params, key)
        workspace, name = self._workspace, selected.pipeline.name
        layout = workspace.layout

        def begin() -> tuple[Context, frozenset[str]]:
            workspace.forget(name, key)
            return self.context(selected, key), selected.forced

        return Job(
            name,
            key,
            begin,
            FileJournal(layout.journal(name, key), reserve=layout.reserve),
            _LazyLock(workspace, name, key),
            lambda: self.secrets(selected.pipeline),
            lambda: self._facts(selected),
            after,
            group=self._group(selected.pipeline) if selected.pipeline.concurrency else None,
            group_if_busy={group.group: group.if_busy for group in selected.pipeline.concurrency},
        )

    def _group(self, pipeline: Pipeline) -> Callable[[str, str], FileSlots | Shortage]:
        """What takes a slot of each concurrency group of a pipeline."""
        limits = {group.group: group.limit for group in pipeline.concurrency}
        wanted = tuple((group, 1) for group in sorted(limits))

        def take(run_id: str, note: str) -> FileSlots | Shortage:
            if self._groups is None:
                from mlorch.world.pools import FilePools

                self._groups = FilePools(self._workspace.layout.groups, {})
            self._groups.sizes |= limits
            return self._groups.take(wanted, run_id, note)

        return take

    def _facts(self, selected: Selected) -> RunFacts:
        from mlorch.runner.recorder import RunFacts

        spec = self._workspace.texts.get(selected.pipeline.file, b"").decode("utf-8", "replace")
        commit = str(self.git["commit"] or "")
        profile = self._workspace.project.profile
        return RunFacts(
            (*selected.words, *((f"--profile {profile}",) if profile else ())),
            commit,
            bool(commit and self.git["dirty"]),
            *self._process,
            spec,
        )

    @cached_property
    def _process(self) -> tuple[int, int, str, str]:
        """Who we are: our process, when it started, the boot and the name of the machine."""
        pid = os.getpid()
        return pid, start_ticks(pid) or 0, boot_id(), host()

    def secrets(self, pipeline: Pipeline) -> Mapping[str, str]:
        """The values of the pipeline's secrets, fetched once a command. Raises `SpecError` naming all that are missing."""
        found = self._secrets.get(pipeline.name)
        if found is not None:
            return found
        declared = {secret.name: secret for secret in (*self._workspace.project.secrets, *pipeline.secrets)}
        wanted = {name for step in pipeline.steps for name in step.secrets}
        texts = [
            t
            for level in (self._workspace.project.env, pipeline.env, *(s.env for s in pipeline.steps))
            for _, t in level
        ]
        wanted |= {name for name in declared if any(f"secrets.{name}" in text for text in texts)}
        fetched = secrets.resolve(declared.values(), os.environ, self._workspace.root, wanted=wanted)
        if fetched.problems:
            users = {name: step.place for step in reversed(pipeline.steps) for name in step.secrets}
            hint = "`secrets` at the top of the pipeline or of mlorch.yaml says where it comes from: provide it there"
            raise SpecError(
                tuple(
                    Diagnostic("E420", f"the secret {name} {what}", users.get(name) or Place(pipeline.file), hint)
                    for name, what in fetched.problems
                )
            )
        self._secrets[pipeline.name] = fetched.values
        return fetched.values

    def jobs(self, selected: Selected, keys: Iterable[str], after: tuple[Job, ...] = ()) -> tuple[Job, ...]:
        """The jobs of several partitions, all behind `after`. Of a pipeline that reads its own windows each waits for those."""
        name = selected.pipeline.name
        made = {key: self.job(selected, key, after) for key in keys}
        inputs = (item for step in selected.pipeline.steps for item in step.inputs)
        if any(item.upstream is not None and item.upstream.pipeline == name for item in inputs):
            for key, job in made.items():
                job.after += tuple(made[read] for read in self.reads(selected, key).get(name, ()) if read in made)
        return tuple(made.values())

    def with_upstream(
        self, selected: Selected, keys: Iterable[str], made: dict[tuple[str, str], Job]
    ) -> tuple[Job, ...]:
        """Jobs for the partitions and for all that they read, upstream first; `made` holds those there are already."""
        name = selected.pipeline.name
        chosen = {name: selected}
        wanted = [(name, key) for key in keys]
        seen: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        # By hand instead of by recursion: a pipeline that reads its own windows makes a chain as long as its history.
        stack = list(reversed(wanted))
        while stack:
            node = stack[-1]
            if node in made:
                stack.pop()
                continue
            if node not in seen:
                seen[node] = self._nodes_before(chosen, node)
                if todo := [other for other in seen[node] if other not in made and other not in seen]:
                    stack.extend(reversed(todo))
                    continue
            before = tuple(made[other] for other in seen[node] if other in made)
            made[node] = self.job(chosen[node[0]], node[1], before)
        return tuple(made[node] for node in wanted)

    def _nodes_before(self, chosen: dict[str, Selected], node: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """The partitions that `node` reads; `chosen` gets the pipelines that are new, with their usual parameters."""
        found: list[tuple[str, str]] = []
        for name, keys in self.reads(chosen[node[0]], node[1]).items():
            if name not in chosen:
                pipeline = self._workspace.named(name)
                chosen[name] = Selected(pipeline, parameters(self._workspace, pipeline, (), ""))
            found.extend((name, key) for key in keys)
        return tuple(found)

    def reads(self, selected: Selected, key: str) -> dict[str, tuple[str, ...]]:
        """The other partitions that a partition reads, of those that exist and are closed."""
        context = self.context(selected, key)
        now = self._workspace.clock.now()
        found: dict[str, dict[str, None]] = {}
        for step in selected.pipeline.steps:
            for item in step.inputs:
                if item.upstream is None:
                    continue
                upstream = self._workspace.named(item.upstream.pipeline)
                try:
                    keys = upstream_keys(
                        item.upstream, upstream, context.reader(step), context.path_scope(), self._workspace
                    )
                except (ExpressionError, ValueError) as error:
                    message = f"step {step.id}, input {item.name}: {error}"
                    raise context.wrong(step, "E406", message, where=("inputs", item.name, "partitions")) from error
                dims = upstream.partitions
                dimension = upstream.time_dimension
                found.setdefault(upstream.name, {}).update(
                    dict.fromkeys(
                        k for k in keys if dimension is None or is_closed(dimension, time_label(dims, k), now)
                    )
                )
        found.get(selected.pipeline.name, {}).pop(key, None)
        return {name: tuple(keys) for name, keys in found.items()}

    def hidden(self, pipelines: Iterable[Pipeline]) -> frozenset[str]:
        """Variables that secrets are read from: no step inherits them."""
        declared = [*self._workspace.project.secrets, *(s for p in pipelines for s in p.secrets)]
        return frozenset(secret.value for secret in declared if secret.source == "env")


class _LazyLock:
    """The partition's lock; its folder and the state folder are made when it is first taken."""

    def __init__(self, workspace: Workspace, pipeline: str, partition: str) -> None:
        self._workspace = workspace
        self._pipeline = pipeline
        self._partition = partition
        self._lock = LockFile(workspace.layout.lock(pipeline, partition))
        self._made = False

    def acquire(self, *, wait: float | None, note: str) -> bool:
        """As `Lock.acquire`. Raises `StateError` also for a state folder that may not be used."""
        if not self._made:
            self._workspace.make_state()
            self._workspace.layout.create_partition(self._pipeline, self._partition)
            self._made = True
        return self._lock.acquire(wait=wait, note=note)

    def holder(self) -> str:
        """As `Lock.holder`."""
        return self._lock.holder()

    def fileno(self) -> int:
        """As `Lock.fileno`."""
        return self._lock.fileno()

    def release(self) -> None:
        """As `Lock.release`."""
        self._lock.release()


class Folders:
    """The `RunFolders` port: run folders in the state folder, ends as the local executor recorded them."""

    def __init__(self, workspace: Workspace) -> None:
        self._layout = workspace.layout
        self._files = workspace.files
        self._prefix = workspace.layout.root + "/"
        self._sweeper: Sweeper | None = None
        self._spec = ("", "")

    def make(self, run_id: str, facts: str, spec: str) -> None:
        """Make the folder of a run and keep `facts` and `spec` in it."""
        folder = self._layout.create_run(run_id)
        self._files.write_text(f"{folder}/run.json", facts + "\n")
        path = f"{folder}/spec.yaml"
        # The runs of a backfill have one spec, and share the file.
        with suppress(OSError):
            if spec and self._spec[0] == spec:
                os.link(self._spec[1], path)
                return
        if spec:
            self._files.write_text(path, spec)
            self._spec = (spec, path)

    def path(self, run_id: str, step: str, attempt: int, suffix: str) -> str:
        """The file `suffix` of an attempt; of the run itself without a step."""
        if not step:
            return f"{self._layout.run(run_id)}/{suffix}"
        return self._layout.attempt(run_id, step, attempt, suffix)

    def record(self, run_id: str) -> str:
        """The file in which the executor keeps starts and ends."""
        return self._layout.records(run_id)

    def ends(self, run_id: str) -> dict[str, Any]:
        """The ends that the executor recorded, by token."""
        from mlorch.executors.records import read_records

        boot = boot_id()
        records = read_records(self.record(run_id)).values()
        # What was staged before the machine was restarted may be half on disk, whatever the record says.
        return {
            end.token: end for start, end in records if end is not None and start is not None and start.boot_id == boot
        }

    def masked(self, text: str, secrets: Iterable[str]) -> str:
        """Text without secrets, as logs are masked."""
        from mlorch.executors.supervisor.masking import Masker

        masker = Masker([secret.encode("utf-8", "surrogateescape") for secret in secrets])
        masked = masker.feed(text.encode("utf-8", "surrogateescape")) + masker.flush()
        return masked.decode("utf-8", "surrogateescape")

    def sweep(self, folder: str) -> None:
        """Remove staging folders in `folder` that a power cut left and no run comes back to."""
        from mlorch.runner.attempts import STAGING
        from mlorch.world.sweeping import Sweeper

        if self._sweeper is None:
            self._sweeper = Sweeper(self._layout, STAGING)
        self._sweeper.sweep(self._files.absolute(folder or "."))

    def relative(self, path: str) -> str:
        """Relative to the state folder."""
        return path.removeprefix(self._prefix)
