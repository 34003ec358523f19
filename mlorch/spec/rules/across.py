"""Rules over all pipelines of a project: names, what one reads of another, who writes what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.diagnostics import Diagnostic, Place
from mlorch.model.spec import Span
from mlorch.spec.places import ordered, walk_place
from mlorch.spec.rules.context import meant
from mlorch.spec.rules.graph import cycles
from mlorch.spec.rules.paths import Entry, normal, overlaps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mlorch.model.spec import Pipeline, Step, UpstreamInput
    from mlorch.spec.rules.context import Key
    from mlorch.spec.source import Source


def check_across(
    pipelines: Sequence[Pipeline],
    sources: Mapping[str, Source] | None = None,
    *,
    complete: bool = True,
    partial: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """What can be wrong between the pipelines of one project. `sources`, by file, make the places exact.

    Not `complete`: there are more pipelines than these, so that an unknown one is no error. Of the files in `partial` only what
    is sound is there, so that what they lack is no error.
    """
    return ordered(_Across(pipelines, sources or {}, frozenset(partial), complete=complete).check())


class _Across:
    def __init__(
        self, pipelines: Sequence[Pipeline], sources: Mapping[str, Source], partial: frozenset[str], *, complete: bool
    ) -> None:
        self.complete = complete
        self.partial = partial
        self.pipelines = pipelines
        self.sources = sources
        self.by_name: dict[str, Pipeline] = {}
        for pipeline in pipelines:
            self.by_name.setdefault(pipeline.name, pipeline)

    def check(self) -> Iterable[Diagnostic]:
        yield from self._duplicates()
        after: dict[str, list[str]] = {name: [] for name in self.by_name}
        for pipeline in self.pipelines:
            for step in pipeline.steps:
                for item in step.inputs:
                    if item.upstream is not None:
                        yield from self._upstream(pipeline, step, item.name, item.upstream)
                        if item.upstream.pipeline in after and item.upstream.pipeline != pipeline.name:
                            after[pipeline.name].append(item.upstream.pipeline)
        yield from self._cycles(after)
        yield from self._groups()
        yield from self._writers()

    def problem(
        self, code: str, message: str, hint: str, pipeline: Pipeline, *keys: Key, step: Step | None = None
    ) -> Diagnostic:
        source = self.sources.get(pipeline.file)
        if source is not None and source.data is not None:
            return source.text.problem(code, message, walk_place(source.data, keys), hint)
        place = step.place if step is not None and step.place is not None else Place(pipeline.file)
        return Diagnostic(code, message, place, hint)

    def _duplicates(self) -> Iterable[Diagnostic]:
        for pipeline in self.pipelines:
            first = self.by_name[pipeline.name]
            if first is not pipeline:
                message = f"the pipeline of {first.file} is named `{pipeline.name}` too"
                yield self.problem("E801", message, "a name is an identity: choose another", pipeline, "name")

    def _upstream(self, pipeline: Pipeline, step: Step, name: str, wanted: UpstreamInput) -> Iterable[Diagnostic]:
        keys = ("steps", step.id, "inputs", name)
        upstream = self.by_name.get(wanted.pipeline)
        if upstream is None and not self.complete:
            return
        if upstream is None:
            hint = meant(wanted.pipeline, self.by_name)
            message = f"there is no pipeline `{wanted.pipeline}`"
            yield self.problem("E405", message, hint, pipeline, *keys, "pipeline", step=step)
            return
        if {upstream.file, pipeline.file} & self.partial:
            return
        outputs = _outputs(upstream)
        wanted_step, _, output = wanted.output.rpartition(".")
        found = [one for one in outputs if one[1] == output and wanted_step in ("", one[0])]
        if len(found) > 1:
            many = ", ".join(f"`{one[0]}.{one[1]}`" for one in found)
            message = f"several steps of {upstream.name} have an output `{output}`"
            yield self.problem("E407", message, f"write one of {many}", pipeline, *keys, "output", step=step)
        elif not found:
            known = {one[1] for one in outputs} | {f"{one[0]}.{one[1]}" for one in outputs}
            message = f"the pipeline {upstream.name} has no output `{wanted.output}`"
            yield self.problem("E407", message, meant(wanted.output, known), pipeline, *keys, "output", step=step)
        fits = _misfit(pipeline, upstream, wanted)
        if fits:
            yield self.problem("E406", fits[0], fits[1], pipeline, *keys, "partitions", step=step)

    def _cycles(self, after: Mapping[str, Iterable[str]]) -> Iterable[Diagnostic]:
        for cycle in cycles(after):
            pipeline = self.by_name[cycle[0]]
            shown = " → ".join((*cycle, cycle[0]))
            message = f"these pipelines wait for each other: {shown}"
            yield self.problem(
                "E802", message, "`a → b` means: a reads an output of b; take one input away", pipeline, "name"
            )

    def _groups(self) -> Iterable[Diagnostic]:
        """A concurrency group has one limit, whoever joins it."""
        first: dict[str, tuple[Pipeline, int]] = {}
        for pipeline in self.pipelines:
            for group in pipeline.concurrency:
                other, limit = first.setdefault(group.group, (pipeline, group.limit))
                if limit != group.limit:
                    message = f"the group `{group.group}` has the limit {group.limit} here, and {limit} in {other.name}"
                    yield self.problem("E803", message, "write the same in both", pipeline, "concurrency", "limit")

    def _writers(self) -> Iterable[Diagnostic]:
        written: list[Entry] = []
        owners: dict[str | int, tuple[Pipeline, Step, tuple[Key, ...]]] = {}
        for pipeline in self.pipelines:
            for step in pipeline.steps:
                paths: list[tuple[str, tuple[Key, ...]]] = [
                    (output.path, ("outputs", output.name)) for output in step.outputs
                ]
                if step.metrics:
                    paths.append((step.metrics, ("metrics",)))
                for path, keys in paths:
                    number = len(owners)
                    owners[number] = (pipeline, step, ("steps", step.id, *keys))
                    written.append((normal(path), "", (number,)))
        for one, two in overlaps(written):
            first, second = sorted((one, two), key=lambda entry: entry[2])
            other, step, _ = owners[first[2][0]]
            pipeline, own, where = owners[second[2][0]]
            if other is not pipeline:
                what = (
                    "writes this path too"
                    if one[0] == two[0]
                    else "writes a path that lies inside this one, or around it"
                )
                message = f"the step {step.id} of {other.name} {what}"
                yield self.problem("E401", message, "every output needs a place of its own", pipeline, *where, step=own)


def _outputs(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [
        (step.id, name)
        for step in pipeline.steps
        for name in (*(output.name for output in step.outputs), *(("metrics",) if step.metrics else ()))
    ]


def _misfit(pipeline: Pipeline, upstream: Pipeline, wanted: UpstreamInput) -> tuple[str, str] | None:
    """(message, hint) where the partitions of two pipelines do not fit each other."""
    own, other = pipeline.time_dimension, upstream.time_dimension
    if pipeline.name == upstream.name and wanted.span is Span.SAME:
        return (
            "a pipeline cannot read its own partition through an input",
            "use `${{ steps.ID.outputs.NAME }}`, or `partitions: last(N)`",
        )
    if other is None:
        if wanted.span in (Span.LAST, Span.RANGE):
            return f"{upstream.name} has no partitions by time", "leave `partitions` out"
        return None
    if own is None:
        if wanted.span is Span.SAME:
            return (
                f"`same` partition of {upstream.name}: this pipeline has no partitions by time",
                "write `partitions: last(N)`, `all` or `{from, to}`",
            )
        return None
    if wanted.span is Span.SAME and (own.every, own.cron) != (other.every, other.cron):
        message = f"`same` partition: {upstream.name} is cut by {other.every or other.cron}, this pipeline by {own.every or own.cron}"
        return message, "write `partitions: last(N)` or `{from, to}`"
    if wanted.span in (Span.SAME, Span.LAST) and own.timezone != other.timezone:
        message = f"{upstream.name} counts in {other.timezone}, this pipeline in {own.timezone}: their windows are not the same"
        return message, f"write `timezone: {other.timezone}` in this pipeline's partitions"
    return None
