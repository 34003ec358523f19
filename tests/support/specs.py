"""Pipelines for tests: from a few lines of YAML, or put together by hand where a test needs hundreds."""

from __future__ import annotations

from textwrap import dedent, indent

from mlorch.model.spec import Input, Kind, Output, Owner, Pipeline, Project, Step
from mlorch.spec.load import load_pipeline

POOLS = (("gpu", 1), ("warehouse", 4))


def pipeline(steps: str, top: str = "", name: str = "p") -> Pipeline:
    """The pipeline with these steps (YAML below `steps:`) and further keys of the top level. Raises `AssertionError`."""
    text = f"mlorch: 1\nname: {name}\nkind: feature\nowner: a@example.org\n{dedent(top).strip()}\nsteps:\n"
    text += indent(dedent(steps).strip(), "  ") + "\n"
    loaded = load_pipeline(text.encode(), f"pipelines/{name}.yaml", Project(pools=POOLS))
    if loaded.value is None:
        raise AssertionError("\n".join(f"{d.place}: {d.code} {d.message}" for d in loaded.diagnostics))
    return loaded.value


def made(*steps: Step, name: str = "p") -> Pipeline:
    """A pipeline of steps made by hand; nothing is checked."""
    return Pipeline(name, Kind.FEATURE, Owner("a@example.org"), steps, f"pipelines/{name}.yaml", "0" * 64)


def writes(step: str, *needs: str, temp: bool = False, more: tuple[str, ...] = ()) -> Step:
    """A step that reads what others write and writes `out/STEP`, and the files `out/STEP.NAME` for each of `more`."""
    inputs = tuple(Input(need, (f"out/{need}",)) for need in needs)
    outputs = (Output("x", f"out/{step}", temp=temp), *(Output(name, f"out/{step}.{name}", temp=temp) for name in more))
    return Step(step, ("tool", step, "${{ outputs.x }}"), needs=needs, inputs=inputs, outputs=outputs)
