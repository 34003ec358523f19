"""Keys that are read and checked for shape, but whose work is not built yet.

Using one is an error: a key that is silently ignored would be worse. Removing a row switches its key on.
"""

from __future__ import annotations

TOP: dict[str, str] = {
    "model": "declare the model's file as an output of the step that trains it",
    "uses_model": "name the model as an input: `{pipeline: …, output: …}`",
    "hooks": "make it a last step with `trigger_rule: all_done`",
    "alerts": "act on mlorch's exit code meanwhile",
}
"""Top-level keys of a pipeline, each with what to do meanwhile."""

STEP: dict[str, str] = {
    "matrix": "write one step for each combination",
    "foreach": "write one step for each item, or partition the pipeline",
    "map": "leave it out together with `matrix` and `foreach`",
    "resources": "limit how many steps run at once by `-j`",
    "heartbeat": "use `timeout`",
}
"""Keys of a step (and of `defaults`)."""

EXECUTORS: dict[str, str] = {"local": ""}
"""Names that `executor` may have; a further one is switched on by a row here."""

DIMENSION: dict[str, str] = {}
"""Keys of a dimension of `partitions`."""

TRIGGER: dict[str, str] = {
    "model": "let its schedule train it, or a `command` trigger with the age of the model's file",
}
"""Keys of an item of `triggers`."""

PROJECT: dict[str, str] = {
    "alerts": "act on mlorch's exit code meanwhile",
    "executor": "steps run on this machine",
}
"""Keys of the project file."""

PROFILE: dict[str, str] = {
    "alerts": "leave it out; profiles change `env`, `params` and `pools` so far",
    "executor": "leave it out; steps run on this machine",
}
"""Keys of one of its `profiles`."""
