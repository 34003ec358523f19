"""From bytes to dataclasses: what is built, what is remembered, what is not there yet."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mlorch.cli.validate import validate
from mlorch.model.spec import (
    Backoff,
    CachePolicy,
    Input,
    Kind,
    Param,
    Project,
    Retry,
    SideEffects,
    Span,
    TimeDimension,
    Track,
    TriggerRule,
    UpstreamInput,
    Write,
)
from mlorch.spec import not_yet
from mlorch.spec.load import check_across, check_imports, load_pipeline, load_project

HEAD = "mlorch: 1\nname: demo\nkind: training\nowner: team@example.org\n"
FULL = """
mlorch: 1
name: full
kind: feature
owner: {name: Dana, email: dana@example.org, slack: "#data"}
description: All keys that work.
runbook: https://example.org/runbook
tags: [daily, core]
params:
  lr: 0.1
  model: {type: string, enum: [a, b], default: a, affects_cache: false, description: Which.}
  needed: {type: integer}
env: {VERSION: 1.10, FLAG: true, MODE: 0755}
secrets:
  TOKEN: {env: API_TOKEN}
  KEY: {command: [pass, show, my key]}
partitions:
  day: {every: day, start: 2013-01-01, end: 2013-12-31, timezone: America/New_York, lag: 6h}
defaults: {timeout: 2h, env: {A: 1, B: 2}}
timeout: 12h
steps:
  x-note: free
  extract:
    run: [python, jobs/extract.py, 1.10, "${{ params.lr }}"]
    inputs:
      raw: data/raw/${{ partition.day }}.csv
      many: [a.csv, b.csv]
      planes: {path: data/planes.csv, required: false, track: mtime, max_age: 7d}
      before: {pipeline: full, output: extract.table, partitions: last(3)}
      span: {pipeline: other, output: x, partitions: {from: 2013-01-01, to: "${{ partition.day }}"}}
    outputs:
      table: data/table/${{ partition.day }}.parquet
      folder: {path: "data/parts/${{ partition.day }}/", check: non_empty, temp: true, write: in_place}
    env: {B: 3}
    retry: 2
  check:
    run: |
      cat "$MLORCH_INPUT_ALL" && true
    shell: bash
    needs: [extract]
    inputs: [a.csv, c/*.csv]
    code: [jobs/*.py]
    values: {rows: integer}
    metrics: metrics/${{ partition.day }}.json
    checks: [{expr: values.rows > 0, severity: warn, message: empty}, {run: [test, -s, x]}]
    when: steps.extract.state == 'succeeded'
    trigger_rule: all_done
    retry: {attempts: 5, delay: 30s, backoff: exponential, max_delay: 10m, jitter: full, exit_codes: [1], signals: [SIGKILL], on_timeout: false, never: [2]}
    timeout: 90s
    grace: 5s
    cache: {policy: always, version: 3, ttl: 7d, ignore: [A]}
    allow_failure: [3, 4]
    side_effects: idempotent
    executor: local
    log_limit: 1MiB
    secrets: [TOKEN]
    params: [lr]
    working_dir: jobs
    description: Looks.
"""


class Memory(dict[str, str]):
    def recall(self, key: str) -> str | None:
        return self.get(key)

    def remember(self, key: str, text: str) -> None:
        self[key] = text


def load(text: str, project: Project | None = None, **more: Any) -> Any:
    loaded = load_pipeline(text.encode(), "pipelines/full.yaml", project, **more)
    assert loaded.value is not None, [problem.message for problem in loaded.diagnostics]
    return loaded.value


def codes(text: str, project: Project | None = None) -> list[str]:
    return [problem.code for problem in load_pipeline(text.encode(), "p.yaml", project).diagnostics]


def test_everything_that_a_pipeline_can_say() -> None:
    pipeline = load(FULL)
    assert (pipeline.name, pipeline.kind, pipeline.timeout) == ("full", Kind.FEATURE, 43200)
    assert (pipeline.owner.email, pipeline.owner.name, pipeline.owner.contacts) == (
        "dana@example.org",
        "Dana",
        (("slack", "#data"),),
    )
    assert pipeline.env == (("VERSION", "1.10"), ("FLAG", "true"), ("MODE", "0755"))
    assert pipeline.params[0] == Param("lr", default=0.1)
    assert (pipeline.params[1].default, pipeline.params[1].affects_cache) == ("a", False)
    assert json.loads(pipeline.params[1].schema)["enum"] == ["a", "b"]
    assert not pipeline.params[2].has_default
    assert [(secret.name, secret.source, secret.value) for secret in pipeline.secrets] == [
        ("TOKEN", "env", "API_TOKEN"),
        ("KEY", "command", "pass show 'my key'"),
    ]
    assert pipeline.time_dimension == TimeDimension(
        "day", "day", "", "2013-01-01", "2013-12-31", "America/New_York", 21600.0
    )
    assert len(pipeline.digest) == 64
    assert [step.id for step in pipeline.steps] == ["extract", "check"]


def test_everything_that_a_step_can_say() -> None:
    extract, check = load(FULL).steps
    assert extract.run == ("python", "jobs/extract.py", "1.10", "${{ params.lr }}")
    assert extract.inputs == (
        Input("raw", ("data/raw/${{ partition.day }}.csv",)),
        Input("many", ("a.csv", "b.csv"), is_list=True),
        Input("planes", ("data/planes.csv",), required=False, track=Track.MTIME, max_age=604800),
        Input("before", upstream=UpstreamInput("full", "extract.table", Span.LAST, 3)),
        Input("span", upstream=UpstreamInput("other", "x", Span.RANGE, 0, "2013-01-01", "${{ partition.day }}")),
    )
    folder = extract.outputs[1]
    assert (folder.path[-1], folder.non_empty, folder.temp, folder.write) == ("/", True, True, Write.IN_PLACE)
    assert extract.retry == Retry(attempts=3)
    assert (extract.timeout, extract.env) == (7200, (("A", "1"), ("B", "3")))
    assert check.inputs == (Input("all", ("a.csv", "c/*.csv"), is_list=True),)
    assert check.retry == Retry(5, 30, Backoff.EXPONENTIAL, 600, True, (1,), ("SIGKILL",), False, (2,))
    assert (check.cache.policy, check.cache.version, check.cache.ttl, check.cache.ignore) == (
        CachePolicy.ALWAYS,
        "3",
        604800,
        ("A",),
    )
    assert (check.timeout, check.grace, check.log_limit, check.allow_failure) == (90, 5, 1048576, (3, 4))
    assert (check.trigger_rule, check.side_effects) == (TriggerRule.ALL_DONE, SideEffects.IDEMPOTENT)
    assert (check.checks[0].expr, check.checks[0].warn, check.checks[1].run) == (
        "values.rows > 0",
        True,
        ("test", "-s", "x"),
    )
    assert (check.place.line, check.place.column) == (FULL.splitlines().index("  check:") + 1, 3)
    assert (check.values, check.params, check.secrets, check.working_dir) == (
        (("rows", "integer"),),
        ("lr",),
        ("TOKEN",),
        "jobs",
    )


def test_a_project_and_what_it_lends_to_pipelines() -> None:
    text = b"""mlorch: 1
pipelines: [p/*.yaml]
state: .state
env: {PATH: '.venv/bin:/bin', N: 1.0}
params: {region: eu}
defaults: {retry: {attempts: 3, delay: 30s}, timeout: 2h, grace: 1s}
secrets: {TOKEN: {env: T}}
roots: {lake: /mnt/lake/}
log_limit: 1KB
retention: {runs: 5}
executor: local
"""
    loaded = load_project(text, "mlorch.yaml")
    project = loaded.value
    assert project is not None
    assert loaded.diagnostics == ()
    assert (project.pipelines, project.state, project.env) == (
        ("p/*.yaml",),
        ".state",
        (("PATH", ".venv/bin:/bin"), ("N", "1.0")),
    )
    assert (project.roots, project.retain_runs, project.retain_days) == ((("lake", "/mnt/lake"),), 5, 90)
    step = """steps:
  a:
    run: a ${{ params.region }} ${{ roots.lake }}/x
    outputs: {o: o}
    secrets: [TOKEN]
    retry: {delay: 1m}
    timeout: 3h
"""
    pipeline = load(HEAD + "defaults: {grace: 2s}\n" + step, project)
    one = pipeline.steps[0]
    assert (one.retry.attempts, one.retry.delay, one.timeout, one.grace, one.log_limit) == (3, 60, 10800, 2, 1000)
    assert pipeline.params == (Param("region", default="eu"),)


def test_no_project_file_means_defaults() -> None:
    assert load_project(None, "mlorch.yaml").value == Project()


def test_what_was_found_sound_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    first = load_pipeline(FULL.encode(), "a.yaml", memory=memory)
    monkeypatch.setattr("mlorch.spec.check.check_pipeline", None)
    again = load_pipeline(FULL.encode(), "a.yaml", memory=memory)
    assert again.value == first.value
    assert again.diagnostics == first.diagnostics
    assert again.source is None


def test_warnings_are_remembered_and_errors_are_not() -> None:
    memory = Memory()
    text = (HEAD + "steps: {a: {run: a}}\n").encode()
    first = load_pipeline(text, "a.yaml", memory=memory)
    assert [problem.code for problem in first.diagnostics] == ["W102"]
    assert load_pipeline(text, "a.yaml", memory=memory).diagnostics == first.diagnostics
    load_pipeline(b"mlorch: 2\n", "b.yaml", memory=memory)
    assert len(memory) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"data": {}}'])
def test_a_damaged_memory_is_no_matter(damage: str) -> None:
    memory = Memory()
    load_pipeline(FULL.encode(), "a.yaml", memory=memory)
    for key in memory:
        memory[key] = damage
    assert load_pipeline(FULL.encode(), "a.yaml", memory=memory).source is not None


def test_another_project_is_another_verdict() -> None:
    memory = Memory()
    text = (HEAD + "steps: {a: {run: 'a ${{ params.region }}', outputs: {o: o}}}\n").encode()
    project = load_project(b"mlorch: 1\nparams: {region: eu}\n", "mlorch.yaml").value
    assert load_pipeline(text, "a.yaml", project, memory).value is not None
    assert load_pipeline(text, "a.yaml", Project(), memory).value is None


TABLES = [
    (not_yet.TOP, "alerts", "alerts: [{on: [failure], to: dana}]\n", ""),
    (not_yet.STEP, "resources", "", "    resources: {cpus: 1}\n"),
    (not_yet.STEP, "heartbeat", "", "    heartbeat: 5m\n"),
    (not_yet.TRIGGER, "model", "triggers: [{model: {max_age: 7d}}]\n", ""),
]


@pytest.mark.parametrize(("table", "key", "top", "step"), TABLES)
def test_a_row_taken_away_switches_its_key_on(
    table: dict[str, str], key: str, top: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEAD + top + "steps:\n  a:\n    run: a\n    outputs: {o: 'o/${{ partition.key }}'}\n" + step
    assert "E601" in codes(text)
    monkeypatch.delitem(table, key)
    assert codes(text) == []


def test_every_key_that_waits_is_a_key_of_the_language() -> None:
    from mlorch.spec import schemas

    root = schemas.load("pipeline")
    dimension = root["properties"]["partitions"]["additionalProperties"]["properties"]
    assert set(not_yet.TOP) <= set(root["properties"])
    assert set(not_yet.STEP) <= set(root["definitions"]["step_keys"]["properties"])
    assert set(not_yet.DIMENSION) <= set(dimension)
    assert set(not_yet.PROJECT) <= set(schemas.load("project")["properties"])


def test_defaults_are_checked_where_they_stand() -> None:
    text = HEAD + "defaults:\n  when: params.nope\nsteps:\n  a: {run: a, outputs: {o: o}}\n"
    (problem,) = load_pipeline(text.encode(), "p.yaml").diagnostics
    assert (problem.code, problem.place and problem.place.line) == ("E502", 6)


def test_an_unsound_part_makes_no_second_complaint() -> None:
    text = (
        HEAD
        + """params: {lr: {type: number, default: 1}, 7up: 1}
steps:
  a:
    run: a
    outputs: {o: {path: 5}}
    values: {n: int}
  b:
    run: b ${{ steps.a.outputs.o }} ${{ steps.a.values.n }} ${{ params.lr }}
    needs: [a, c]
    outputs: {p: p}
  c:
    outputs: {q: q}
"""
    )
    assert codes(text) == ["E205", "E203", "E204", "E202"]


@pytest.mark.parametrize("text", ["x", "1", "[]", "a: 1", "mlorch: 1\nsteps: []\n", "mlorch: 1\nsteps: {a: 5, b: [], c: ~}\npartitions: 5\nparams: [1]\n", "steps: {a: {inputs: 5, outputs: [], checks: {}, env: [], retry: [], run: {}}}\ndefaults: 7\nowner: []\n"])  # fmt: skip
def test_any_shape_ends_in_words(text: str) -> None:
    loaded = load_pipeline(text.encode(), "p.yaml")
    assert loaded.value is None
    assert loaded.diagnostics
    assert load_project(text.encode(), "mlorch.yaml").value is None


def test_problems_are_sorted_and_each_stands_once() -> None:
    text = (
        HEAD
        + "x-e: &e {A: ~}\nsteps:\n  b: {run: b, env: *e, outputs: {o: o}, nope: 1}\n  a: {run: a, env: *e, needs: [x]}\n"
    )
    problems = load_pipeline(text.encode(), "p.yaml").diagnostics
    assert [problem.code for problem in problems] == ["E203", "E201", "E301"]
    assert [problem.place.line for problem in problems if problem.place] == [5, 7, 8]


def test_across_without_sources_points_at_the_step() -> None:
    one = load(
        HEAD + "steps:\n  a: {run: a, inputs: {x: {pipeline: gone, output: y, partitions: all}}, outputs: {o: o}}\n"
    )
    (problem,) = check_across((one,))
    assert (problem.code, str(problem.place)) == ("E405", "pipelines/full.yaml:6:3")
    assert check_across((one,), complete=False) == ()


def test_imports_follow_modules_and_packages() -> None:
    files = {
        "jobs/a.py": "import os, helper\nfrom pkg.sub import thing\nimport jobs.other\n",
        "jobs/helper.py": "def broken(:\n",
        "pkg/__init__.py": "",
        "pkg/sub.py": "from . import deep\nfrom .deep import x\nimport helper\n",
        "pkg/deep.py": "import pkg.sub\n",
        "jobs/other.py": "",
    }
    pipeline = load(
        HEAD + "steps: {a: {run: python -m jobs.a, outputs: {o: o}}, b: {run: python jobs/gone.py, outputs: {p: p}}}\n"
    )
    (problem,) = check_imports(pipeline, files.get)
    assert re.findall(r"[\w/]+\.py", problem.message) == ["jobs/helper.py", "jobs/other.py", "pkg/__init__.py"]
    assert "2 more" in problem.message
    covered = load(HEAD + "steps: {a: {run: python jobs/a.py, code: ['jobs/*.py', 'pkg/**'], outputs: {o: o}}}\n")
    assert check_imports(covered, files.get) == ()


def test_what_is_wrong_between_files_is_told_beside_what_is_wrong_in_them() -> None:
    one = HEAD + "steps: {a: {run: a, outputs: {o: o}, inputs: {x: {pipeline: gone, output: y, partitions: all}}}}\n"
    two = HEAD + "steps: {a: {runn: a, outputs: {p: o, 5: 6}}}\n"
    reads = HEAD.replace("demo", "reads") + (
        "steps: {a: {run: a, outputs: {q: q}, inputs: {x: {pipeline: two, output: hidden, partitions: all}}}}\n"
    )

    def told(*texts: str) -> set[tuple[str, str]]:
        files = [(f"pipelines/{number}.yaml", text.encode()) for number, text in enumerate(texts)]
        found = validate(None, files, lambda _: None).diagnostics
        return {(problem.code, problem.place.file) for problem in found if problem.place and problem.code[0] == "E"}

    first, second = "pipelines/0.yaml", "pipelines/1.yaml"
    assert told(one, two) >= {("E405", first), ("E201", second), ("E801", second), ("E401", second)}
    assert ("E407", first) not in told(reads, two.replace("demo", "two")), "it may be among what is not sound"
    assert ("E405", first) not in told(one, "mlorch: 1\n"), "it may be the one that has no name"
    assert ("E405", first) not in told(one, "a: [")


def test_no_value_goes_into_a_variable_that_a_shell_executes() -> None:
    step = "steps: {a: {run: bash x.sh, env: {BASH_ENV: '${{ params.p }}'}}}\n"
    assert "E505" in codes(HEAD + "params: {p: x}\n" + step)
    assert "E505" in codes(HEAD + "params: {p: x}\nenv: {PS4: '${{ params.p }}'}\nsteps: {a: {run: bash x.sh}}\n")
    assert "E505" not in codes(HEAD + "env: {BASH_ENV: setup.sh}\nsteps: {a: {run: bash x.sh}}\n")
    for text in ("env: {ENV: '${{ params.p }}'}", "profiles: {ci: {env: {BASH_ENV: 'x${{ params.p }}'}}}"):
        found = load_project(f"mlorch: 1\n{text}\n".encode(), "mlorch.yaml").diagnostics
        assert [problem.code for problem in found] == ["E505"]


SECRET = HEAD + "secrets: {TOK: {env: API_TOKEN}}\n"


@pytest.mark.parametrize(
    ("more", "project_env"),
    [
        ("steps: {a: {run: [sh, -c, 'true', x, '${{ env.X }}'], secrets: [TOK], env: {X: 'pre-${{ secrets.TOK }}'}}}", ()),
        ("steps: {a: {run: 'tool --key=${{ env.X }}', secrets: [TOK], env: {X: '${{ secrets.TOK }}'}}}", ()),
        ("env: {X: '${{ secrets.TOK }}'}\nsteps: {a: {run: [tool, '${{ env.X }}'], secrets: [TOK]}}", ()),
        ("env: {X: '${{ secrets.TOK }}'}\nsteps: {a: {run: [tool, '${{ env.Y }}'], secrets: [TOK], env: {Y: 'a${{ env.X }}'}}}", ()),
        ("steps: {a: {run: [tool, '${{ env.P }}'], secrets: [TOK]}}", (("P", "${{ secrets.TOK }}"),)),
        ("steps: {a: {run: [tool, '${{ env }}'], secrets: [TOK], env: {X: '${{ secrets.TOK }}'}}}", ()),
        ("steps: {a: {run: [tool, '${{ env.API_TOKEN }}']}}", ()),
        ("steps: {a: {run: 'true', secrets: [TOK], env: {X: '${{ secrets.TOK }}'}, checks: [{run: [tool, '${{ env.X }}']}]}}", ()),
    ],
)  # fmt: skip
def test_a_secret_does_not_become_an_argument_through_a_variable(
    more: str, project_env: tuple[tuple[str, str], ...]
) -> None:
    assert "E504" in codes(SECRET + more, Project(env=project_env))


@pytest.mark.parametrize(
    "more",
    [
        "steps: {a: {run: 'tool \"$X\" | cat', secrets: [TOK], env: {X: '${{ secrets.TOK }}'}}}",
        "steps: {a: {run: [sh, -c, 'tool <<< ${{ env.X }}'], secrets: [TOK], env: {X: '${{ secrets.TOK }}'}}}",
        "steps: {a: {run: [tool, '${{ env.Y }}'], secrets: [TOK], env: {X: '${{ secrets.TOK }}', Y: 'b'}}}",
        "env: {X: '${{ secrets.TOK }}'}\nsteps: {a: {run: [tool, '${{ env.X }}'], secrets: [TOK], env: {X: plain}}}",
    ],
)
def test_a_variable_without_a_secret_or_no_argument_is_fine(more: str) -> None:
    assert "E504" not in codes(SECRET + more)
