"""What every rule is given: the data with its positions, the pipeline built from it, and the names that exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlorch.lang.params import allowed_types
from mlorch.spec.places import Map, Text, walk_place
from mlorch.spec.shape import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.diagnostics import Diagnostic
    from mlorch.model.spec import Pipeline, Project
    from mlorch.spec.rules.collisions import Collisions

Key = str | int


@dataclass(frozen=True, slots=True)
class StepNames:
    """What others may ask a step for. Taken before unsound parts were removed, so that one error makes no second."""

    outputs: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    metrics: bool = False
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Names:
    """Every name that a file declares, sound or not."""

    steps: dict[str, StepNames]
    params: frozenset[str]
    secrets: frozenset[str]
    dimensions: frozenset[str]
    roots: frozenset[str]
    env: frozenset[str]
    scheduled: bool = False
    uses_model: bool = False


@dataclass(slots=True)
class Context:
    """One pipeline file under examination. Rules add to `problems`."""

    text: Text
    data: Map
    names: Names
    pipeline: Pipeline
    project: Project
    problems: list[Diagnostic] = field(default_factory=list)
    references: dict[str, set[str]] = field(default_factory=dict)
    """For each step the steps that its expressions name."""
    param_types: dict[str, tuple[str, ...]] = field(init=False)
    """The JSON types that each parameter of the pipeline may have."""
    collisions: Collisions | None = None
    """Tries out paths that are computed from labels; made for the first of them."""

    def __post_init__(self) -> None:
        self.param_types = {param.name: allowed_types(param) for param in self.pipeline.params}

    def at(self, *keys: Key) -> int:
        """Offset of the value at `keys`."""
        return walk_place(self.data, keys)

    def key_at(self, *keys: str) -> int:
        """Offset of the last of `keys` itself, not of its value."""
        node: Any = self.data
        for key in keys[:-1]:
            node = node.get(key) if isinstance(node, dict) else None
        return node.mark(keys[-1])[0] if isinstance(node, Map) and keys[-1] in node.index() else self.at(*keys)

    def report(self, code: str, message: str, offset: int, hint: str = "", *, width: int = 0) -> None:
        """Add a problem."""
        self.problems.append(self.text.problem(code, message, offset, hint, width=width))


def gather(data: Map, project: Project) -> Names:
    """The names of a file, read from data of any shape."""
    raw = data.get("steps")
    shared = _project_step(project)
    steps: dict[str, StepNames] = {}
    if isinstance(raw, dict):
        for name, step in raw.items():
            steps[name] = _step_names(step) if isinstance(step, dict) else StepNames()
    defaults = data.get("defaults")
    under = _step_names(defaults) if isinstance(defaults, dict) else StepNames()
    if under != StepNames() or shared != StepNames():
        steps = {name: _join(_join(own, under), shared) for name, own in steps.items()}
    return Names(
        steps=steps,
        params=_keys(data.get("params")) | {name for name, _ in project.params},
        secrets=_keys(data.get("secrets")) | {secret.name for secret in project.secrets},
        dimensions=_keys(data.get("partitions")),
        roots=frozenset(name for name, _ in project.roots),
        # Whichever profile will be chosen: a name that only it has must be sound without it, too.
        env=_keys(data.get("env"))
        | {name for name, _ in (*project.env, *(item for p in project.profiles for item in p.env))},
        scheduled="schedule" in data or "triggers" in data,
        uses_model="uses_model" in data,
    )


def _project_step(project: Project) -> StepNames:
    if not project.defaults:
        return StepNames()
    from json import loads

    return _step_names(loads(project.defaults))


def _step_names(step: dict[str, Any]) -> StepNames:
    inputs = step.get("inputs")
    return StepNames(
        outputs=_keys(step.get("outputs")),
        values=_keys(step.get("values")),
        inputs=frozenset({"all"}) if isinstance(inputs, list) else _keys(inputs),
        metrics="metrics" in step,
        secrets=_texts(step.get("secrets")),
    )


def _join(one: StepNames, two: StepNames) -> StepNames:
    return StepNames(
        one.outputs | two.outputs,
        one.values | two.values,
        one.inputs | two.inputs,
        one.metrics or two.metrics,
        one.secrets | two.secrets,
    )


def _keys(node: Any) -> frozenset[str]:
    return frozenset(key for key in node if key[:2] != "x-") if isinstance(node, dict) and node else frozenset()


def _texts(node: Any) -> frozenset[str]:
    return frozenset(item for item in node if isinstance(item, str)) if isinstance(node, list) else frozenset()


def meant(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A hint for a name that does not exist: what was perhaps meant, else what there is."""
    names = sorted(known)
    close = suggest(word, names)
    if close:
        return f"did you mean `{prefix}{close}`?"
    if not names:
        return ""
    more = " …" if len(names) > 12 else ""
    return f"there is {', '.join(names[:12])}{more}"
