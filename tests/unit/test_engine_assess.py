"""Each reason to run again is given by exactly the change that it names, and by nothing else (guarantees.md)."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

import pytest

from mlorch.model.spec import Pipeline
from mlorch.model.states import Reason, Verdict
from mlorch.spec.load import load_pipeline
from mlorch.testing.executor import Outcome
from tests.support.specs import pipeline
from tests.support.world import World

TOP = """
description: what it is for
tags: [x, y]
env: {LEVEL: low}
params: {p: 1, q: 2, silent: {type: integer, default: 3, affects_cache: false}}
"""
STEPS = """
one:
  run: 'python jobs/one.py ${{ inputs.d }} ${{ params.p }} ${{ params.silent }} ${{ outputs.x }}'
  description: the first
  inputs: {d: data/in, loose: {path: data/loose, track: none}}
  code: ['lib/*.py']
  outputs: {x: out/one}
two:
  run: ['tool', '${{ steps.one.outputs.x }}', '${{ outputs.x }}']
  outputs: {x: out/two}
three:
  run: 'tool ${{ outputs.x }}'
  needs: [two]
  outputs: {x: out/three}
alone:
  run: 'tool ${{ params.q }}'
"""


def project() -> World:
    world = World()
    for path in ("jobs/one.py", "lib/a.py", "lib/b.py", "data/in", "data/loose"):
        world.files.put(path, f"{path} as it was")
    return world


def done() -> tuple[World, Pipeline]:
    world, spec = project(), pipeline(STEPS, TOP)
    world.run(spec)
    assert world.reasons(spec) == {}
    return world, spec


def test_everything_runs_the_first_time() -> None:
    world = project()
    assert world.reasons(pipeline(STEPS, TOP)) == {
        "one": "never_done",
        "two": "never_done",
        "three": "never_done",
        "alone": "never_done",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description: the first", "description: other words"),
        ("description: what it is for", "description: other words\nrunbook: https://example.org/x"),
        ("tags: [x, y]", "tags: [z]"),
        ("tags: [x, y]", "x-note: [1, 2]"),
        ("owner: a@example.org", "owner: {name: Somebody, email: b@example.org, slack: '#x'}"),
        ("\n  one:", "\n  # a comment\n  one:"),
        (
            "    inputs: {d: data/in, loose: {path: data/loose, track: none}}\n    code: ['lib/*.py']\n",
            "    code: ['lib/*.py']\n    inputs: {loose: {track: none, path: data/loose}, d: data/in}\n",
        ),
        ("    needs: [two]\n    outputs: {x: out/three}", "    outputs: {x: out/three}\n    needs: [two]"),
        ("run: 'tool ${{ params.q }}'", 'run: "tool ${{ params.q }}"  # quoted in another way'),
        (
            "    outputs: {x: out/two}",
            "    outputs: {x: out/two}\n    retry: 3\n    timeout: 1h\n    grace: 1s\n    log_limit: 1MiB",
        ),
        ("    outputs: {x: out/two}", "    outputs: {x: out/two}\n    allow_failure: true\n    trigger_rule: all_done"),
        ("    outputs: {x: out/two}", "    outputs: {x: {path: out/two, check: non_empty}}"),
        ("    outputs: {x: out/two}", "    outputs: {x: out/two}\n    checks: [{expr: 'true', severity: warn}]"),
    ],
)
def test_what_does_not_matter_to_the_result_runs_nothing(old: str, new: str) -> None:
    world, _ = done()
    text = f"mlorch: 1\nname: p\nkind: feature\nowner: a@example.org{TOP}steps:{indent(STEPS, '  ')}"
    assert old in text
    loaded = load_pipeline(text.replace(old, new).encode(), "pipelines/p.yaml")
    assert loaded.value is not None, loaded.diagnostics
    assert world.reasons(loaded.value) == {}


def test_reordering_steps_and_parameters_runs_nothing() -> None:
    world, _ = done()
    parts = dedent(STEPS).strip().split("\nthree:")
    alone = parts[1].index("\nalone:")
    steps = f"{parts[1][alone + 1 :]}\nthree:{parts[1][:alone]}\n{parts[0]}"
    assert world.reasons(pipeline(steps, TOP.replace("{p: 1, q: 2, ", "{q: 2, p: 1, "))) == {}


Change = Callable[[World], Pipeline | None]


def spec_with(old: str, new: str) -> Change:
    def change(_: World) -> Pipeline:
        both = TOP + "\0" + STEPS
        assert old in both
        top, steps = both.replace(old, new).split("\0")
        return pipeline(steps, top)

    return change


def file_with(path: str, text: str | None) -> Change:
    def change(world: World) -> None:
        if text is None:
            world.files.remove(path)
        else:
            world.files.put(path, text)

    return change


def params(**given: object) -> Change:
    return lambda world: world.params.update(given)


AFTER = {"two": "waiting_upstream", "three": "waiting_upstream"}


@pytest.mark.parametrize(
    ("change", "reasons", "detail"),
    [
        (spec_with("tool ${{ params.q }}", "tool --more ${{ params.q }}"), {"alone": "command_changed"}, "tool --more"),
        (spec_with("'python jobs", "'python -u jobs"), {"one": "command_changed", **AFTER}, "the command"),
        (spec_with("out/three", "out/other"), {"three": "output_missing"}, "out/other is missing"),
        (spec_with("needs: [two]", "needs: [two]\n  working_dir: jobs"), {"three": "command_changed"}, "working_dir"),
        (spec_with("needs: [two]", "needs: [two]\n  shell: bash"), {"three": "command_changed"}, "shell"),
        (
            spec_with("needs: [two]", "needs: [two]\n  cache: {version: '2'}"),
            {"three": "command_changed"},
            "cache.version",
        ),
        (
            spec_with("needs: [two]", "needs: [two]\n  checks: [{expr: 'true'}]"),
            {"three": "command_changed"},
            "check 1",
        ),
        (spec_with("needs: [two]", "needs: [two]\n  values: {n: integer}"), {"three": "command_changed"}, "value n"),
        (
            spec_with("needs: [two]", "needs: [two]\n  env: {A: b}"),
            {"three": "environment_changed"},
            "variable A is new",
        ),
        (
            spec_with("LEVEL: low", "LEVEL: high"),
            {"one": "environment_changed", **AFTER, "alone": "environment_changed"},
            "variable LEVEL: low → high",
        ),
        (file_with("jobs/one.py", "other"), {"one": "code_changed", **AFTER}, "jobs/one.py"),
        (file_with("lib/b.py", "other"), {"one": "code_changed", **AFTER}, "lib/b.py"),
        (file_with("lib/c.py", "one more"), {"one": "code_changed", **AFTER}, "lib/c.py is new"),
        (file_with("lib/b.py", None), {"one": "code_changed", **AFTER}, "lib/b.py is gone"),
        (file_with("lib/c.txt", "no code"), {}, ""),
        (params(p=5), {"one": "parameter_changed", **AFTER}, "parameter p: 1 → 5"),
        (params(q=5), {"alone": "parameter_changed"}, "parameter q: 2 → 5"),
        (params(silent=5), {}, ""),
        (spec_with("q: 2", "q: 2, new: 1"), {}, ""),
        (
            spec_with("needs: [two]", "needs: [two]\n  params: [q]"),
            {"three": "parameter_changed"},
            "parameter q is new",
        ),
        (file_with("data/in", "other"), {"one": "input_changed", **AFTER}, "data/in"),
        (file_with("data/in", "data/in as it was"), {}, ""),
        (file_with("data/loose", "other"), {}, ""),
        (spec_with("needs: [two]", "needs: [two, one]"), {"three": "input_changed"}, "out/one is new"),
        (spec_with("needs: [two]", "needs: [two, alone]"), {"three": "upstream_ran"}, "the last run of alone is new"),
        (file_with("out/three", None), {"three": "output_missing"}, "out/three is missing"),
        (file_with("out/one", None), {"one": "output_missing", **AFTER}, "out/one is missing"),
        (file_with("out/three", "by hand"), {"three": "output_changed"}, "out/three was changed"),
        (file_with("out/three", "three()"), {}, ""),
    ],
)
def test_a_change_runs_what_depends_on_it_and_says_why(change: Change, reasons: dict[str, str], detail: str) -> None:
    world, spec = done()
    changed = change(world) or spec
    found = world.plan(changed)
    assert world.reasons(changed) == reasons
    if reasons:
        assert detail in found[next(iter(reasons))].detail
    world.started.clear()
    world.values = {step.id: "n=1" for step in changed.steps if step.values}
    world.run(changed)
    # What waited ran only if the bytes before it differ; nothing that was not named ran.
    assert {step for step, reason in reasons.items() if reason != "waiting_upstream"} <= set(world.started)
    assert set(world.started) <= set(reasons)
    assert world.reasons(changed) == {}


def test_the_same_bytes_make_nobody_stale() -> None:
    world, spec = done()
    world.started.clear()
    run = world.run(spec, force=["one"])
    assert world.started == ["one"]
    assert run.steps["two"].reason == "unchanged"


def test_other_bytes_go_on_as_far_as_they_differ() -> None:
    world, spec = done()
    world.files.put("data/in", "other")
    world.started.clear()
    run = world.run(spec)
    assert run.steps["one"].reason == "input_changed"
    assert run.steps["two"].reason == "input_changed"
    assert run.steps["two"].detail.startswith("out/one: ")
    assert world.started == ["one", "two"], "two wrote what it had written before"


def test_a_step_without_outputs_makes_stale_what_needs_it() -> None:
    world = World()
    spec = pipeline(
        "a: {run: 'tool ${{ params.p }}'}\nb: {run: 'tool ${{ outputs.x }}', needs: [a], outputs: {x: out/b}}",
        "params: {p: 1}",
    )
    world.run(spec)
    world.params["p"] = 2
    run = world.run(spec)
    assert (run.steps["a"].reason, run.steps["b"].reason) == ("parameter_changed", "upstream_ran")
    assert world.reasons(spec) == {}


def test_values_and_metrics_that_are_read_are_inputs() -> None:
    world = World(values={"a": "n=1\nm=1"}, metrics={"a": '{"auc": 1, "n": {"x": 1}}'})
    spec = pipeline(
        """
        a: {run: 'tool ${{ params.p }}', values: {n: integer, m: integer}, metrics: out/m.json}
        by_value: {run: ['tool', '${{ steps.a.values.n }}']}
        by_metric: {run: ['tool', '${{ steps.a.metrics.n.x }}']}
        """,
        "params: {p: 1}",
    )
    world.run(spec)
    world.params["p"] = 2
    world.values["a"], world.metrics["a"] = "n=1\nm=2", '{"auc": 2, "n": {"x": 1}}'
    world.started.clear()
    world.run(spec)
    assert world.started == ["a"], "only what they do not read differs"
    world.params["p"], world.values["a"] = 3, "n=5\nm=2"
    run = world.run(spec)
    assert run.steps["by_value"].detail == "steps.a.values.n: 1 → 5"
    assert run.steps["by_metric"].reason == "unchanged"


# The order of the reasons: the first that holds is shown.


def test_the_first_reason_that_holds_is_shown() -> None:
    world = World(script=lambda _: Outcome())
    world.files.put("lib.py", "1")
    world.files.put("data", "1")
    text = "a: {{run: '{command} ${{{{ params.p }}}} ${{{{ outputs.x }}}}', {env}inputs: {{d: data}}, code: [lib.py], outputs: {{x: out/a, y: out/b}}}}"
    spec = pipeline(text.format(command="tool ${{ outputs.y }}", env=""), "params: {p: 1}")
    changed = pipeline(text.format(command="other ${{ outputs.y }}", env="env: {A: b}, "), "params: {p: 1}")
    world.run(spec)
    seen: list[str] = []

    def now(which: Pipeline, **more: list[str]) -> None:
        seen.append(world.reasons(which, force=more.get("force", []))["a"])

    world.files.put("data", "2")
    now(spec)
    world.params["p"] = 2
    now(spec)
    world.files.put("lib.py", "2")
    now(spec)
    now(pipeline(text.format(command="tool ${{ outputs.y }}", env="env: {A: b}, "), "params: {p: 1}"))
    now(changed)
    world.files.put("out/a", "by hand")
    now(changed)
    world.files.remove("out/b")
    now(changed)
    world.script = lambda _: Outcome(lasts=None)
    world.journal().kill_after = len(world.events()) + 2
    assert world.killed(changed)
    now(changed)
    world.script = lambda _: Outcome(exit_code=1)
    world.run(changed)
    now(changed)
    now(changed, force=["a"])
    order = [reason.value for reason in Reason]
    assert seen == [
        "input_changed",
        "parameter_changed",
        "code_changed",
        "environment_changed",
        "command_changed",
        "output_changed",
        "output_missing",
        "interrupted",
        "last_attempt_failed",
        "forced",
    ]
    assert [order.index(reason) for reason in seen] == sorted((order.index(reason) for reason in seen), reverse=True)


def test_how_many_other_things_changed_is_said_and_each_is_kept() -> None:
    world, spec = done()
    world.params["p"] = 5
    world.files.put("data/in", "other")
    found = world.plan(spec)["one"]
    assert found.detail == "parameter p: 1 → 5 (and 1 more)"
    assert found.assessment is not None
    assert [change.what for change in found.assessment.differs] == ["parameter p", "data/in"]


# Cache policies.

CACHED = "a: {run: 'tool ${{ params.p }} ${{ outputs.x }}', outputs: {x: out/a}, cache: %s}"


@pytest.mark.parametrize(
    ("cache", "reasons"),
    [
        ("auto", {"a": "parameter_changed"}),
        ("always", {}),
        ("never", {"a": "parameter_changed"}),
        ("{ignore: [p]}", {}),
    ],
)
def test_cache_policies_after_a_change(cache: str, reasons: dict[str, str]) -> None:
    world = World()
    spec = pipeline(CACHED % cache, "params: {p: 1}")
    world.run(spec)
    world.params["p"] = 2
    assert world.reasons(spec) == reasons
    world.files.remove("out/a")
    assert world.reasons(spec) == {"a": "output_missing"}


def test_cache_never_runs_every_time() -> None:
    world = World()
    spec = pipeline(CACHED % "never", "params: {p: 1}")
    world.run(spec)
    assert world.reasons(spec) == {"a": "expired"}


@pytest.mark.parametrize("clock_goes_back", [False, True])
def test_a_result_expires(clock_goes_back: bool) -> None:
    world = World()
    spec = pipeline(CACHED % "{ttl: 1h}", "params: {p: 1}")
    world.run(spec)
    if clock_goes_back:
        world.clock.jump(-86400.0)
        assert world.reasons(spec) == {}
        world.clock.jump(86400.0)
    world.clock.advance(3599.0)
    assert world.reasons(spec) == {}
    world.clock.advance(2.0)
    assert world.reasons(spec) == {"a": "expired"}
    world.run(spec)
    assert world.reasons(spec) == {}


# Inputs.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{d: gone}", "gone is missing"),
        ("{d: 'gone/*.csv'}", "nothing matches gone/*.csv"),
        ("{d: {path: old, max_age: 1h}}", "older than 3600 s"),
    ],
)
def test_what_is_missing_makes_the_step_wait(text: str, told: str) -> None:
    world = World()
    world.files.put("old", "1")
    world.clock.advance(7200.0)
    run = world.run(pipeline(f"a: {{run: tool, inputs: {text}}}\nb: {{run: tool, needs: [a]}}"))
    assert [step.state for step in run.steps.values()] == ["not_ready", "not_ready"]
    assert told in run.steps["a"].detail
    assert run.exit_code == 5


def test_what_may_be_missing_is_noticed_when_it_comes() -> None:
    world = World()
    spec = pipeline("a: {run: tool, inputs: {d: {path: late, required: false}}}")
    world.run(spec)
    assert world.reasons(spec) == {}
    world.files.put("late", "1")
    assert world.reasons(spec) == {"a": "input_changed"}


def test_globs_notice_what_comes_goes_and_changes() -> None:
    world = World()
    for name in ("a", "b"):
        world.files.put(f"data/{name}.csv", name)
    spec = pipeline("a: {run: tool, inputs: {d: 'data/*.csv'}}")
    world.run(spec)
    for path, text in (("data/c.csv", "c"), ("data/a.csv", "other"), ("data/b.csv", None)):
        file_with(path, text)(world)
        found = world.plan(spec)["a"]
        assert found.reason is Reason.INPUT_CHANGED
        assert path in found.detail
        world.run(spec)
    world.files.put("data/a.txt", "not matched")
    assert world.reasons(spec) == {}


def test_times_are_enough_where_the_spec_says_so() -> None:
    world = World()
    world.files.put("data", "1")
    spec = pipeline("a: {run: tool, inputs: {d: {path: data, track: mtime}}}")
    world.run(spec)
    reads = dict(world.files.reads)
    world.clock.advance(5.0)
    world.files.put("data", "1")
    assert world.reasons(spec) == {"a": "input_changed"}
    assert world.files.reads == reads, "its content is never read"


def test_untracked_outputs_of_others_are_not_noticed() -> None:
    world = World()
    text = """
    a: {run: 'tool ${{ params.p }} ${{ outputs.x }}', outputs: {x: out/a}}
    b: {run: tool, inputs: {d: {path: out/a, track: none}}}
    """
    spec = pipeline(text, "params: {p: 1}")
    world.files.put("data", "1")
    world.run(spec)
    world.files.put("out/a", "by hand")
    world.started.clear()
    run = world.run(spec)
    assert world.started == ["a"]
    assert run.steps["b"].reason == "unchanged"


def test_what_waits_is_unknown_until_the_step_before_it_has_run() -> None:
    world, spec = done()
    world.params["p"] = 5
    found = world.plan(spec)["two"]
    assert found.assessment is not None
    assert found.assessment.verdict is Verdict.UNKNOWN
    assert found.detail == "depends on one, which runs first"
