"""Two partitions must not write one path, also where the path is computed from their labels."""

from __future__ import annotations

import pytest

from mlorch.spec.load import load_pipeline

HEAD = "mlorch: 1\nname: demo\nkind: training\nowner: team@example.org\nparams: {tag: v1, needed: {type: string}}\n"
DAY = "{day: {every: day, start: 2026-01-01}}"
HOUR = "{hour: {every: hour, start: 2026-01-01T00Z}}"
BERLIN = "{hour: {every: hour, timezone: Europe/Berlin, start: 2026-01-01T00+0100}}"
WEEK = "{week: {every: week, start: 2026-W01}}"
MONTH = "{month: {every: month}}"
CRON = "{tick: {every: '0 6,18 * * *', start: 2026-01-01}}"
PORTS = "{airport: {values: [EWR, JFK, LGA]}}"
TWO = "{day: {every: day}, airport: {values: [EWR, JFK, LGA]}}"


def told(partitions: str, path: str, *, metrics: bool = False) -> list[tuple[str, str]]:
    """Code and message of each error."""
    place = f'metrics: "{path}"' if metrics else f'outputs: {{o: "{path}"}}'
    text = f"{HEAD}partitions: {partitions}\nsteps:\n  a:\n    run: a\n    {place}\n"
    report = load_pipeline(text.encode(), "pipelines/demo.yaml")
    return [(problem.code, problem.message) for problem in report.diagnostics if problem.code[0] == "E"]


@pytest.mark.parametrize(
    ("partitions", "path", "one", "two"),
    [
        (DAY, "d/${{ date(partition.start, '%Y-%m') }}", "2026-01-01", "2026-01-02"),
        (DAY, "d/${{ date(partition.start, '%d') }}", "2026-01-01", "2026-02-01"),
        (DAY, "d/${{ date(partition.start, '%a') }}.csv", "2026-01-01", "2026-01-08"),
        (DAY, "d/${{ date(partition.start, '%m/%d') }}/", "2026-01-01", "2027-01-01"),
        (DAY, "d/${{ partition.day[0] }}", "2026-01-01", "2026-01-02"),
        (DAY, "d/${{ params.tag }}/${{ date(partition.end, '%Y') }}", "2026-01-01", "2026-01-02"),
        (DAY, "d/${{ params.needed }}/${{ date(partition.end, '%Y') }}", "2026-01-01", "2026-01-02"),
        (DAY, "d/${{ len(partition.key) }}", "2026-01-01", "2026-01-02"),
        (HOUR, "d/${{ date(partition.start, '%H') }}", "2026-01-01T00Z", "2026-01-02T00Z"),
        (HOUR, "d/${{ date(partition.start, '%dT%H') }}", "2026-01-01T00Z", "2026-02-01T00Z"),
        (HOUR, "d/${{ date(partition.start, '%m%dT%H') }}", "2026-01-01T00Z", "2027-01-01T00Z"),
        (BERLIN, "d/${{ date(partition.start, '%Y-%m-%dT%H') }}", "2026-10-25T02+0200", "2026-10-25T02+0100"),
        (WEEK, "d/${{ date(partition.start, '%Y-%m') }}", "2026-W02", "2026-W03"),
        (WEEK, "d/${{ date(partition.start, '%V') }}", "2026-W01", "2027-W01"),
        (MONTH, "d/${{ date(partition.start, '%m') }}", "2024-01", "2025-01"),
        (CRON, "d/${{ date(partition.start, '%Y-%m-%d') }}", "2026-01-01T0600Z", "2026-01-01T1800Z"),
        (PORTS, "d/${{ 'a' if partition.airport == 'JFK' else 'b' }}", "EWR", "LGA"),
        (TWO, "d/${{ partition.airport }}/${{ date(partition.start, '%V') }}", "2024-01-01", "2024-01-02"),
        (TWO, "d/${{ partition.day }}/${{ len(partition.airport) }}", "EWR", "JFK"),
    ],
)
def test_labels_that_lead_to_one_path_are_an_error(partitions: str, path: str, one: str, two: str) -> None:
    assert told(partitions, path) == [
        ("E408", f"the partitions `{one}` and `{two}` would write the output `o` to one path")
    ]


@pytest.mark.parametrize(
    ("partitions", "path"),
    [
        (DAY, "d/${{ date(partition.start, '%Y/%m/%d') }}"),
        (DAY, "d/${{ date(partition.start, '%Y-%j') }}"),
        (DAY, "d/${{ date(partition.start, '%Y-%m') }}/${{ partition.day }}"),
        (DAY, "d/${{ date(partition.start, '%Y-%m') }}/${{ partition['day'] }}"),
        (DAY, "d/${{ date(partition.start + 7*d, '%Y-%m-%d') }}"),
        ("{day: {every: day, start: 2026-01-05, end: 2026-01-20}}", "d/${{ date(partition.start, '%d') }}"),
        (HOUR, "d/${{ date(partition.start, '%Y-%m-%dT%H') }}"),
        (BERLIN, "d/${{ date(partition.start, '%Y-%m-%dT%H%z') }}"),
        (WEEK, "d/${{ date(partition.start) }}"),
        (MONTH, "d/${{ date(partition.start, '%Y-%m') }}"),
        (CRON, "d/${{ date(partition.start, '%Y-%m-%d-%H') }}"),
        (PORTS, "d/${{ 'x' if partition.airport == 'JFK' else partition.airport }}"),
        ("{file: {glob: in/*.csv}}", "d/${{ partition.file[0] }}"),  # which labels there are, only a run knows
        (TWO, "d/${{ partition.airport }}/${{ date(partition.start, '%Y%m%d') }}"),
    ],
)
def test_labels_that_lead_to_paths_of_their_own_are_sound(partitions: str, path: str) -> None:
    assert told(partitions, path) == []


def test_what_cannot_be_evaluated_yet_is_passed_over() -> None:
    assert told(DAY, "d/${{ params.needed + date(partition.start, '%Y') }}") == []


def test_metrics_are_an_output_like_others() -> None:
    message = "the partitions `2026-01-01` and `2026-01-02` would write the output `metrics` to one path"
    assert told(DAY, "m/${{ date(partition.start, '%Y') }}.json", metrics=True) == [("E408", message)]


def test_an_unsound_dimension_is_complained_of_once() -> None:
    found = told("{day: {every: day, timezone: Mars/Base}}", "d/${{ date(partition.start, '%Y') }}")
    assert [code for code, _ in found] == ["E703"]
