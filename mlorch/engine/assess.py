"""Whether a step's last result still counts, and why (guarantees.md, "Re-run decision")."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlorch.engine.fingerprint import difference, explain
from mlorch.engine.fold import FAILED
from mlorch.engine.manifest import manifest_of
from mlorch.lang.expressions import NotKnownYet
from mlorch.model.spec import CachePolicy
from mlorch.model.states import Reason, Verdict

SKIPPED = "skipped"
"""`Checkpoint.how` of a step that asked to be skipped: that it did is its result."""

if TYPE_CHECKING:
    from mlorch.engine.context import Context, ResolvedInput
    from mlorch.model.manifest import Checkpoint, Manifest
    from mlorch.model.plan import Difference
    from mlorch.model.spec import Step


class Assessment(NamedTuple):
    """The verdict on a step. `manifest` and `inputs` are set when everything before it is settled.

    `missing` are the texts about required inputs that are not there.
    """

    verdict: Verdict
    reason: Reason
    detail: str = ""
    manifest: Manifest | None = None
    inputs: tuple[ResolvedInput, ...] = ()
    missing: tuple[str, ...] = ()
    differs: tuple[Difference, ...] = ()


def assess(context: Context, step: Step, *, forced: bool = False) -> Assessment:
    """The verdict on `step` with the first reason that holds. Raises `SpecError` for what only values show to be wrong."""
    try:
        for need in step.needs:
            if need in context.by_id:
                context.result(context.by_id[need])  # what waits for another step need not be looked at closely yet
        inputs = context.inputs(step)
        missing = tuple(text for item in inputs for text in item.missing)
        manifest = None if missing else manifest_of(context, step, inputs)
    except NotKnownYet as unknown:
        early = _before_manifest(context, step, forced=forced)
        if early is not None:
            return early
        return Assessment(Verdict.UNKNOWN, Reason.WAITING_UPSTREAM, f"depends on {unknown.args[0]}, which runs first")
    if manifest is None:
        return Assessment(Verdict.STALE, Reason.INPUT_MISSING, "; ".join(missing), None, inputs, missing)
    early = _before_manifest(context, step, forced=forced)
    if early is None:
        early = _by_manifest(context, step, context.state.checkpoints[step.id], manifest)
    return early._replace(manifest=manifest, inputs=inputs)


def _before_manifest(context: Context, step: Step, *, forced: bool) -> Assessment | None:
    """The reasons that need no look at what the step reads."""
    stale = Verdict.STALE
    if forced:
        return Assessment(stale, Reason.FORCED, "asked for with --force")
    unfinished = context.state.unfinished.get(step.id)
    checkpoint = context.state.checkpoints.get(step.id)
    if unfinished == FAILED:
        return Assessment(stale, Reason.LAST_ATTEMPT_FAILED, "its last attempt failed")
    if checkpoint is None:
        if unfinished:
            return Assessment(stale, Reason.INTERRUPTED, "its last attempt was interrupted")
        return Assessment(stale, Reason.NEVER_DONE, "it has never been done")
    if unfinished:
        return Assessment(stale, Reason.INTERRUPTED, "its last attempt was interrupted")
    if step.id in context.made_stale:
        return Assessment(stale, *context.made_stale[step.id])
    if step.id in context.wanted_again:
        return Assessment(stale, Reason.OUTPUT_MISSING, "its temp output was removed, and a step that runs needs it")
    return None


def _by_manifest(context: Context, step: Step, checkpoint: Checkpoint, manifest: Manifest) -> Assessment:
    files = context.files
    if step.cache.policy is CachePolicy.ALWAYS:
        for artifact in checkpoint.outputs:
            if artifact.path not in context.state.removed and not files.exists(artifact.path):
                return Assessment(Verdict.STALE, Reason.OUTPUT_MISSING, f"{artifact.path} is missing")
        return Assessment(Verdict.FRESH, Reason.UNCHANGED, "cache: always")
    paths = {artifact.path for artifact in checkpoint.outputs}
    declared = {output.path for output in context.outputs(step)}
    other = [
        artifact.path
        for artifact in checkpoint.outputs
        if artifact.path not in context.state.removed and artifact.path in declared and not files.same(artifact)
    ]
    # What is missing is told before what was changed.
    for path in (*other, *sorted(declared - paths)) if checkpoint.how != SKIPPED else ():
        if not files.exists(path):
            return Assessment(Verdict.STALE, Reason.OUTPUT_MISSING, f"{path} is missing")
    if other:
        return Assessment(Verdict.STALE, Reason.OUTPUT_CHANGED, f"{other[0]} was changed since the step wrote it")
    changes = difference(checkpoint.manifest, manifest)
    if changes:
        reason, first = changes[0]
        more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
        return Assessment(Verdict.STALE, reason, explain(first) + more, differs=tuple(change for _, change in changes))
    if step.cache.policy is CachePolicy.NEVER:
        return Assessment(Verdict.STALE, Reason.EXPIRED, "cache: never")
    if step.cache.ttl is not None and (age := context.age_of(checkpoint.at)) > step.cache.ttl:
        return Assessment(Verdict.STALE, Reason.EXPIRED, f"done {age:.0f} s ago, ttl is {step.cache.ttl:g} s")
    return Assessment(Verdict.FRESH, Reason.UNCHANGED, "")
