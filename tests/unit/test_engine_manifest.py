"""Which facts stand in a manifest: the parameters that are used, the files that are executed, what inputs stand for."""

from __future__ import annotations

import pytest

from mlorch.engine.manifest import code_files, manifest_of, used_parameters
from mlorch.model.manifest import Fact
from tests.support.specs import pipeline
from tests.support.world import World

PARAMS = "params: {p: 1, q: 2, r: [1, 2]}"


@pytest.mark.parametrize(
    ("step", "used"),
    [
        ("run: tool", ""),
        ("run: 'tool ${{ params.p }}'", "p"),
        ("run: ['tool', '${{ params.p }}', '${{ params.q + 1 }}']", "pq"),
        ("run: 'tool $MLORCH_PARAM_Q'", "q"),
        ("run: 'tool ${MLORCH_PARAM_Q}-x'", "q"),
        ("run: 'import os; os.environ[\"MLORCH_PARAM_R\"]', shell: python", "r"),
        ("run: tool, params: [r]", "r"),
        ("run: tool, env: {A: '${{ params.p }}'}", "p"),
        ("run: tool, inputs: {d: 'data/${{ params.q }}'}", "q"),
        ("run: tool, outputs: {x: 'out/${{ params.q }}'}", "q"),
        ("run: tool, when: 'params.p > 1'", "p"),
        ("run: tool, checks: [{expr: 'params.p > 1'}]", "p"),
        ("run: tool, checks: [{run: 'look $MLORCH_PARAM_P'}]", "p"),
        ("run: 'tool ${{ params.r[0] }}'", "r"),
        ("run: 'tool MLORCH_PARAM_NONE'", ""),
    ],
)
def test_parameters_that_a_step_uses(step: str, used: str) -> None:
    spec = pipeline(f"a: {{{step}}}", PARAMS)
    context = World().context(spec)
    assert used_parameters(context, spec.steps[0]) == frozenset(used)


def test_parameters_of_the_environment_of_all_steps() -> None:
    spec = pipeline("a: {run: tool}", PARAMS + "\nenv: {A: '${{ params.q }}'}")
    assert used_parameters(World().context(spec), spec.steps[0]) == {"q"}


@pytest.mark.parametrize(
    ("step", "files"),
    [
        ("run: 'python jobs/x.py data/log.txt'", ["jobs/x.py"]),
        ("run: [python3, -u, jobs/x.py]", ["jobs/x.py"]),
        ("run: 'python -m pkg.mod'", ["pkg/mod.py"]),
        ("run: 'python -m pkg'", ["pkg/__main__.py"]),
        ("run: 'python -m deep'", ["src/deep.py"]),
        ("run: './go.sh data/log.txt'", ["go.sh"]),
        ("run: 'bash go.sh'", ["go.sh"]),
        ("run: 'cat data/log.txt | python jobs/x.py'", ["jobs/x.py"]),
        ("run: 'echo jobs/x.py >> data/log.txt'", []),
        ("run: 'python x.py', working_dir: jobs", ["jobs/x.py"]),
        ("run: tool, code: ['jobs/*.py', go.sh]", ["jobs/x.py", "jobs/y.py", "go.sh"]),
        ("run: tool, code: [jobs/]", ["jobs"]),
        ("run: /bin/ls", []),
        ("run: 'python missing.py'", []),
    ],
)
def test_what_is_executed_counts_as_code(step: str, files: list[str]) -> None:
    world = World()
    for path in ("jobs/x.py", "jobs/y.py", "pkg/mod.py", "pkg/__main__.py", "src/deep.py", "go.sh", "data/log.txt"):
        world.files.put(path, path)
    spec = pipeline(f"a: {{{step}}}")
    assert list(code_files(world.context(spec), spec.steps[0])) == files


def test_commands_stand_as_typed_and_paths_as_they_will_be() -> None:
    world = World(params={"p": 7})
    world.files.put("data/7", "x")
    spec = pipeline(
        "a: {run: 'tool ${{ params.p }} ${{ outputs.x }}', inputs: {d: 'data/${{ params.p }}'}, outputs: {x: 'out/${{ params.p }}'}}",
        PARAMS,
    )
    context = world.context(spec)
    facts = manifest_of(context, spec.steps[0], context.inputs(spec.steps[0]))
    digest = world.files.look("data/7")
    assert digest is not None
    assert facts == (
        Fact("command", "", "tool ${{ params.p }} ${{ outputs.x }}"),
        Fact("output", "x", "out/7"),
        Fact("parameter", "p", "7"),
        Fact("input", "data/7", digest.digest),
    )


def test_secrets_and_what_is_inherited_stand_in_no_manifest() -> None:
    world = World(secrets={"PW": "hunter22"}, inherited={"HOME": "/home/somebody"})
    spec = pipeline(
        "a: {run: 'tool $PW $HOME', secrets: [PW], env: {A: '${{ secrets.PW }}'}}", "secrets: {PW: {env: PW}}"
    )
    context = world.context(spec)
    facts = manifest_of(context, spec.steps[0], ())
    assert "hunter22" not in repr(facts)
    assert "/home/somebody" not in repr(facts)


def test_what_is_ignored_is_left_out() -> None:
    world = World()
    world.files.put("data", "x")
    spec = pipeline(
        "a: {run: 'tool ${{ params.p }}', inputs: {d: data}, env: {A: b, B: c}, cache: {ignore: [p, d, A]}}", PARAMS
    )
    context = world.context(spec)
    facts = manifest_of(context, spec.steps[0], context.inputs(spec.steps[0]))
    assert [(fact.kind, fact.name) for fact in facts] == [("command", ""), ("environment", "B")]
