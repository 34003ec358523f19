"""Records as a session would hand them to the views."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlorch.model.history import AttemptRecord, RunRecord, StepRecord
from mlorch.model.manifest import Artifact
from mlorch.model.plan import Difference, Plan, StepPlan
from mlorch.model.states import Action, Reason, RunState, StepState, Verdict
from mlorch.model.status import BackfillRow, Graph, GraphNode, Health, PartitionHealth, PipelineStatus


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def _attempt(number: int, state: StepState, **more: object) -> AttemptRecord:
    made = AttemptRecord(
        number,
        state,
        started_at="2026-05-01T11:55:01Z",
        finished_at="2026-05-01T11:55:05.020000Z",
        duration_s=4.02,
        command="python jobs/clean.py --day 2013-01-31",
        log=f"logs/20260501-115500-ab12/step.{number}.log",
        cause="exit",
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def failed_run() -> RunRecord:
    run = RunRecord(
        "20260501-115500-ab12",
        "delay_model",
        "2013-01-31",
        RunState.FAILED,
        started_at="2026-05-01T11:55:00.500000Z",
        finished_at="2026-05-01T11:58:12.700000Z",
        exit_code=1,
        params=(("trees", 200),),
    )
    steps = (
        StepRecord(
            "clean_flights",
            StepState.SUCCEEDED,
            "code_changed",
            "jobs/clean.py",
            [_attempt(1, StepState.SUCCEEDED, exit_code=0, peak_rss_bytes=312 * 2**20, cpu_s=3.9)],
            outputs=(Artifact("data/clean/2013-01-31.parquet", "d", "s", 9, "clean"), Artifact("data/log/", "d", "s")),
            values='{"rows": 842}',
            metrics='{"auc": 0.8123456789, "by": {"EWR": NaN}}',
        ),
        StepRecord("join_weather", StepState.CACHED, "unchanged"),
        StepRecord(
            "train[lr=0.1,seed=1]",
            StepState.FAILED,
            "input_changed",
            "[/foo] is no markup, exit status 3",
            [
                _attempt(1, StepState.FAILED, exit_code=3, retry_at="2026-05-01T11:55:15Z"),
                _attempt(2, StepState.FAILED, exit_code=3, finished_at="2026-05-01T11:58:09Z"),
            ],
        ),
        StepRecord("publish", StepState.BLOCKED, "upstream_failed", "train[lr=0.1,seed=1]"),
    )
    run.steps.update({step.id: step for step in steps})
    return run


@pytest.fixture
def good_run() -> RunRecord:
    return _good("flights_features", "2013-01-21")


def _good(pipeline: str, partition: str) -> RunRecord:
    run = RunRecord(
        "20260501-115400-cd34",
        pipeline,
        partition,
        RunState.SUCCEEDED,
        started_at="2026-05-01T11:54:00Z",
        finished_at="2026-05-01T11:54:12.300000Z",
    )
    run.steps["clean"] = StepRecord("clean", StepState.SUCCEEDED, "never_done", "", [_attempt(1, StepState.SUCCEEDED)])
    return run


@pytest.fixture
def plan() -> Plan:
    return Plan(
        "delay_model",
        "2013-01-31",
        ("clean_flights", "join_weather", "train"),
        (
            StepPlan(
                "clean_flights",
                Action.RUN,
                Verdict.STALE,
                Reason.CODE_CHANGED,
                "jobs/clean.py",
                (),
                "python jobs/clean.py --day 2013-01-31 --out data/clean/2013-01-31.parquet",
                outputs=(("clean", "data/clean/2013-01-31.parquet"),),
                expected_s=4.1,
                differs=(Difference("code jobs/clean.py", "1a2b", "ffee"), Difference("parameter [lr]", "", "0.2")),
            ),
            StepPlan(
                "join_weather", Action.REUSE, Verdict.FRESH, Reason.UNCHANGED, "", ("clean_flights",), "python j.py"
            ),
            StepPlan(
                "train",
                Action.UNKNOWN,
                Verdict.UNKNOWN,
                Reason.WAITING_UPSTREAM,
                "clean_flights",
                ("clean_flights",),
                "python jobs/train.py --lr 0.1 --out 'models/2013-01-31/model.joblib'",
                in_place=("model",),
                expected_s=192.0,
            ),
        ),
    )


@pytest.fixture
def idle_run() -> RunRecord:
    run = RunRecord("", "flights_features", "2013-01-21", RunState.SUCCEEDED, "unchanged")
    run.steps["clean"] = StepRecord("clean", StepState.CACHED, "unchanged")
    return run


@pytest.fixture
def statuses(failed_run: RunRecord, good_run: RunRecord) -> list[PipelineStatus]:
    done = PartitionHealth.DONE
    days = tuple((f"2013-01-{day:02d}", done) for day in range(1, 22))
    mixed = (
        *days[:15],
        ("2013-01-16", PartitionHealth.FAILED),
        ("2013-01-17", PartitionHealth.STALE),
        ("2013-01-18", PartitionHealth.RUNNING),
        ("2013-01-19", PartitionHealth.MISSING),
    )
    running = _good("delay_predictions", "2013-01-18")
    running.state, running.finished_at = RunState.RUNNING, ""
    return [
        PipelineStatus(
            "flights_features",
            "feature",
            "dana@example.org",
            Health.OK,
            (),
            good_run,
            days,
            partitioned=True,
            fresh_at="2026-05-01T11:54:12Z",
            fresh_key="2013-01-21",
        ),
        PipelineStatus(
            "delay_model",
            "training",
            "sam@example.org",
            Health.FAILING,
            ("the last run failed: step train, exit status 3",),
            failed_run,
            (("", PartitionHealth.FAILED),),
            fresh_at="2026-04-28T11:58:12Z",
        ),
        PipelineStatus(
            "delay_predictions",
            "inference",
            "dana@example.org",
            Health.STALE,
            ("1 partition is stale: [its] inputs changed",),
            running,
            mixed,
            partitioned=True,
            fresh_at="2026-05-01T10:58:12Z",
            fresh_key="2013-01-15",
        ),
        PipelineStatus("new_one", "feature", "dana@example.org", Health.NEVER_RAN, (), None, (), partitioned=True),
    ]


@pytest.fixture
def backfill_rows() -> list[BackfillRow]:
    rows = [BackfillRow(f"2013-01-{day:02d}", "run", "succeeded", "missing", f"r{day}") for day in range(28, 32)]
    rows += [
        BackfillRow("2013-02-01", "run", "failed", "step train, exit status 3", "r1"),
        BackfillRow("2013-02-02", "reuse", "done", "unchanged"),
        BackfillRow("2013-02-03", "skip", "stale", "not asked for"),
    ]
    return rows


@pytest.fixture
def graph() -> Graph:
    return Graph(
        "delay_model",
        (
            GraphNode("load"),
            GraphNode("clean", (("load", "raw"),), "python clean.py", (), ("data/clean.parquet",)),
            GraphNode("weather"),
            GraphNode("join", (("clean", ""), ("weather", 'a "b" <c>'))),
            GraphNode("train", (("join", ""), ("load", ""))),
        ),
        "training",
    )
