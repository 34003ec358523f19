"""Whatever the bytes are, reading a spec ends in a pipeline or in words, never in an exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlorch.cli.validate import validate
from mlorch.spec.load import load_pipeline, load_project
from mlorch.spec.source import read, scalar
from mlorch.views.problems import problem_lines

SPEC = """mlorch: 1
name: demo
kind: feature
owner: {email: a@example.org}
params: {lr: 0.1, m: {type: string, enum: [a, b], default: a}}
env: {A: 1}
secrets: {T: {env: X}}
partitions: {day: {every: day, start: 2013-01-01, end: 2013-02, timezone: Europe/Berlin}}
schedule: {cron: '15 6 * * *'}
defaults: {timeout: 2h, when: params.lr > 0}
steps:
  a: &a
    run: a "${{ params.lr }}" > x
    inputs: {x: 'x/${{ partition.day }}', y: {pipeline: other, output: a.o, partitions: last(3)}, z: {path: [a, b]}}
    outputs: {o: 'o/${{ partition.day }}', p: {path: 'p/${{ partition.day }}/', temp: true}}
    retry: {attempts: 3, delay: 1s, signals: [SIGKILL]}
  b:
    run: [b, '${{ steps.a.outputs.o }}', 5]
    needs: [a]
    code: [jobs/*.py]
    values: {n: integer}
    metrics: m/${{ partition.key }}.json
    checks: [{expr: values.n > 0}, {run: test -s x}]
    cache: {policy: auto, ignore: [A]}
    secrets: [T]
    env: {H: 'x ${{ secrets.T }}'}
"""
DATA = read(SPEC.encode(), "a").data
assert DATA is not None
ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 300),
        st.sampled_from(["", "a", "${{", "${{ }}", "${{ steps.a }}", "..", "/", "~", "*", "5m", "last(0)", "\x7f", "é", "step", "1" * 30, 10**400, 1e308]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "path", "run", "x-y", "", "every", "expr"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def check(data: bytes) -> None:
    for loaded in (load_pipeline(data, "pipelines/a.yaml"), load_project(data, "mlorch.yaml")):
        assert (loaded.value is None) == any(problem.code.startswith("E") for problem in loaded.diagnostics)
    report = validate(
        ("mlorch.yaml", data), [("pipelines/a.yaml", data), ("pipelines/b.yaml", SPEC.encode())], lambda _: None
    )
    assert [problem_lines(problem) for problem in report.diagnostics]


@given(
    st.integers(0, len(SPEC)),
    st.integers(0, 12),
    st.text(st.sampled_from("{}[]:,-|>&*!'\"#%@`$ \n\t\0\\abc01é\ufeff"), max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_any_cut_and_paste(at: int, gone: int, put: str) -> None:
    check((SPEC[:at] + put + SPEC[at + gone :]).encode())


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
@example(b"\xef\xbb\xbf")
@example(b"%YAML 1.1\n---\na: 1")
def test_any_bytes(data: bytes) -> None:
    check(data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_value_anywhere(data: st.DataObject) -> None:
    copy: Any = json.loads(json.dumps(DATA))
    node = copy
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        child = node[key]
        if not child or not isinstance(child, dict | list) or data.draw(st.integers(0, 3)) == 0:
            node[key] = data.draw(ODD)
            break
        node = child
    check(json.dumps(copy).encode())


@given(st.text(st.sampled_from("0123456789+-.eExo_abcf:"), max_size=12))
def test_a_number_reads_as_json_would_write_it(text: str) -> None:
    found = scalar(text)
    if isinstance(found, str):
        assert found == text
    elif isinstance(found, int) and text.lstrip("+-").isdigit():
        assert str(found) == text.lstrip("+") or (found == 0 and text == "-0")
