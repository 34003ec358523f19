"""Which partitions of another pipeline an input reads, and whether they are there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from mlorch.lang.expressions import render
from mlorch.lang.keys import keys_of, time_label, value_dimensions
from mlorch.lang.partitions import bounds, parse_label, previous_window, window_at, windows
from mlorch.model.spec import Span, TimeDimension

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlorch.lang.zones import Window
    from mlorch.model.manifest import Artifact
    from mlorch.model.ports import Catalog, Files
    from mlorch.model.spec import Pipeline, UpstreamInput, ValueDimension

_INSTANT = timedelta(microseconds=1)


class UpstreamFiles(NamedTuple):
    """What an upstream input stands for: `artifacts` in the order of their partitions, `missing` texts for people.

    `keys` are the partitions it needs, whether they are done or not.
    """

    pipeline: str
    keys: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    missing: tuple[str, ...]
    is_list: bool


class Reader(NamedTuple):
    """Who reads: a step of a pipeline, in a window (None if that pipeline has no time dimension)."""

    pipeline: str
    step: str
    window: Window | None

    def of_itself(self, source: UpstreamInput, upstream: Pipeline) -> bool:
        """Whether the step reads what it writes itself: then its own window is not among what it can read."""
        found = find_output(upstream, source.output)
        return upstream.name == self.pipeline and found is not None and found[0] == self.step


def find_output(pipeline: Pipeline, name: str) -> tuple[str, str] | None:
    """The (step, output) that `output` or `step.output` names; `metrics` names a step's metrics file. None if not exactly one."""
    wanted_step, _, wanted = name.rpartition(".")
    found = [
        (step.id, output)
        for step in pipeline.steps
        for output in (*(o.name for o in step.outputs), *(("metrics",) if step.metrics else ()))
        if output == wanted and wanted_step in ("", step.id)
    ]
    return found[0] if len(found) == 1 else None


def upstream_keys(
    source: UpstreamInput,
    upstream: Pipeline,
    reader: Reader,
    scope: Mapping[str, object],
    catalog: Catalog,
) -> tuple[str, ...]:
    """The keys that `source` reads.

    Raises `ValueError` when the two pipelines' partitions do not fit each other, and what `render` raises.
    """
    dimension = upstream.time_dimension
    if dimension is None:
        return _with_values(upstream, ("",), scope, catalog)
    return _with_values(upstream, _times(source, upstream, dimension, reader, scope, catalog), scope, catalog)


def _with_values(
    upstream: Pipeline, times: tuple[str, ...], scope: Mapping[str, object], catalog: Catalog
) -> tuple[str, ...]:
    """The keys of those windows: the consumer's own label in dimensions that both have, all labels of the others."""
    if len(upstream.partitions) == (upstream.time_dimension is not None):
        return times
    partition = scope.get("partition")
    own = partition if isinstance(partition, Mapping) else {}

    def labels(dim: ValueDimension) -> Sequence[str]:
        label = own.get(dim.name)
        if not isinstance(label, str):
            return catalog.labels(upstream, dim)
        if dim.values and label not in dim.values:
            raise ValueError(f"{upstream.name} has no {dim.name} `{label}`")
        return (label,)

    return tuple(keys_of(upstream.partitions, times, labels))


def _times(
    source: UpstreamInput,
    upstream: Pipeline,
    dimension: TimeDimension,
    reader: Reader,
    scope: Mapping[str, object],
    catalog: Catalog,
) -> tuple[str, ...]:
    own = reader.window
    match source.span:
        case Span.SAME:
            if own is None:
                message = (
                    f"`partitions: same` of {upstream.name} needs a pipeline that is partitioned by time as well; "
                    "say last(N), all or {from, to}"
                )
                raise ValueError(message)
            return (parse_label(dimension, own.label).label,)
        case Span.RANGE:
            first, last = render(source.first, scope), render(source.last, scope)
            return tuple(w.label for w in windows(dimension, first, last) if not _too_early(dimension, w))
        case Span.LAST:
            if own is None:
                newest = _newest_done(source, upstream, dimension, catalog)
            else:
                # By its end: a week that reads days ends with its Sunday, a day that reads months with the last whole month.
                newest = window_at(dimension, own.end - _INSTANT)
                if newest.end.astimezone(UTC) > own.end.astimezone(UTC):
                    newest = previous_window(dimension, newest)
                if reader.of_itself(source, upstream):
                    newest = previous_window(dimension, newest)
            return () if newest is None else _back(dimension, newest, source.count)
        case Span.ALL:
            newest = _newest_done(source, upstream, dimension, catalog)
            if own is not None and upstream.name == reader.pipeline:
                # What comes later must not make this window stale.
                newest = previous_window(dimension, own) if reader.of_itself(source, upstream) else own
            if newest is None:
                return ()
            if _too_early(dimension, newest):
                return ()
            oldest = bounds(dimension)[0] or _oldest_done(upstream, dimension, catalog, newest)
            return tuple(window.label for window in windows(dimension, oldest.label, newest.label))


def upstream_files(
    source: UpstreamInput,
    upstream: Pipeline,
    keys: tuple[str, ...],
    catalog: Catalog,
    files: Files,
    reader: str,
    own: Collection[str] = (),
) -> UpstreamFiles:
    """The artifacts of `keys`, and what is missing of them. `own` are the names of the reader's dimensions.

    No keys at all are a missing input, unless the pipeline `reader` reads itself and this is its first window.
    """
    name = find_output(upstream, source.output)
    missing: list[str] = []
    artifacts: list[Artifact] = []
    for key in keys:
        shown = f"{upstream.name} {key}".rstrip()
        checkpoint = catalog.state(upstream.name, key).checkpoints.get(name[0]) if name else None
        artifact = next((a for a in checkpoint.outputs if name and a.name == name[1]), None) if checkpoint else None
        if artifact is None:
            missing.append(f"{shown} is not done")
            continue
        current = artifact if files.same(artifact) else files.look(artifact.path)
        if current is None:
            missing.append(f"{shown}: its output {artifact.path} is missing")
        else:
            artifacts.append(current)
    if not keys and upstream.name != reader:
        missing.append(f"{upstream.name} has no partition that is done")
    is_list = upstream.time_dimension is not None and source.span is not Span.SAME
    is_list = is_list or any(dim.name not in own for dim in value_dimensions(upstream.partitions))
    return UpstreamFiles(upstream.name, keys, tuple(artifacts), tuple(missing), is_list)


def _done_windows(
    source: UpstreamInput, upstream: Pipeline, dimension: TimeDimension, catalog: Catalog
) -> list[Window]:
    found = find_output(upstream, source.output)
    step = found[0] if found else ""
    return [
        parse_label(dimension, time_label(upstream.partitions, key))
        for key in catalog.partitions(upstream.name)
        if step in catalog.state(upstream.name, key).checkpoints
    ]


def _newest_done(
    source: UpstreamInput, upstream: Pipeline, dimension: TimeDimension, catalog: Catalog
) -> Window | None:
    return max(_done_windows(source, upstream, dimension, catalog), key=lambda window: window.start, default=None)


def _oldest_done(upstream: Pipeline, dimension: TimeDimension, catalog: Catalog, newest: Window) -> Window:
    keys = catalog.partitions(upstream.name)
    labels = {time_label(upstream.partitions, key) for key in keys}
    return min((*(parse_label(dimension, label) for label in labels), newest), key=lambda window: window.start)


def _too_early(dimension: TimeDimension, window: Window) -> bool:
    """Before the first window of the dimension: nothing was ever due there, so nothing is missing."""
    first = bounds(dimension)[0]
    return first is not None and window.start < first.start


def _back(dimension: TimeDimension, newest: Window, count: int) -> tuple[str, ...]:
    """`count` labels that end with `newest`, oldest first; fewer where the dimension starts."""
    first = bounds(dimension)[0]
    labels: list[str] = []
    window = newest
    while len(labels) < count and (first is None or window.start >= first.start):
        labels.append(window.label)
        window = previous_window(dimension, window)
    return tuple(reversed(labels))
