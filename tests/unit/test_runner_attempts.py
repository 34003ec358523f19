"""One attempt and what its end is worth: exit statuses, outputs, values, metrics, checks, and files that refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlorch.engine.previous import last_attempt
from mlorch.model.errors import FileError, StateError
from mlorch.model.events import AttemptEnded, AttemptStarted, StepSucceeded
from mlorch.model.history import AttemptRecord, PartitionState, RunRecord, StepRecord
from mlorch.model.states import RunState, StepState
from mlorch.runner.loop import Options
from mlorch.testing.executor import Outcome
from tests.support.specs import pipeline
from tests.support.world import World, states

if TYPE_CHECKING:
    from mlorch.model.attempt import AttemptRequest

ONE = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}%s}"


def one(more: str = "") -> str:
    return ONE % (f", {more}" if more else "")


def ending(*outcomes: Outcome) -> World:
    """The so-manieth attempt ends like this; the last one goes for all that follow."""
    left = list(outcomes)
    return World(lambda _: left.pop(0) if len(left) > 1 else left[0])


@pytest.mark.parametrize(
    ("outcome", "state", "run_state", "code", "tries"),
    [
        (Outcome(), "succeeded", RunState.SUCCEEDED, 0, 1),
        (Outcome(exit_code=1), "failed", RunState.FAILED, 1, 3),
        (Outcome(exit_code=75), "not_ready", RunState.NOT_READY, 5, 3),
        (Outcome(exit_code=99), "skipped", RunState.SUCCEEDED, 0, 1),
        (Outcome(exit_code=64), "failed", RunState.FAILED, 1, 1),
        (Outcome(exit_code=65), "failed", RunState.FAILED, 1, 1),
        (Outcome(exit_code=78), "failed", RunState.FAILED, 1, 1),
        (Outcome(exit_code=126), "failed", RunState.FAILED, 1, 1),
        (Outcome(exit_code=127), "failed", RunState.FAILED, 1, 1),
        (Outcome(signal="SIGSEGV"), "failed", RunState.FAILED, 1, 3),
        (Outcome(spawn_error="tool: command not found", errno=2), "failed", RunState.FAILED, 1, 1),
        (Outcome(lasts=None), "timed_out", RunState.FAILED, 1, 3),
        (Outcome(cause="oom", signal="SIGKILL"), "failed", RunState.FAILED, 1, 3),
    ],
)
def test_what_an_end_means(outcome: Outcome, state: str, run_state: RunState, code: int, tries: int) -> None:
    world = ending(outcome)
    world.files.put("out/a", "older")
    run = world.run(pipeline(one("retry: 2, timeout: 9s")))
    assert (states(run)["a"], run.state, run.exit_code) == (state, run_state, code)
    assert len(world.started) == tries == len(run.steps["a"].attempts)
    assert world.files.text("out/a") == ("a()" if state == "succeeded" else "older")
    assert world.left_over() == []


def test_retries_wait_and_the_attempts_are_numbered() -> None:
    world = ending(Outcome(exit_code=1), Outcome(exit_code=1), Outcome())
    spec = pipeline(one("retry: {attempts: 4, delay: 10s, backoff: exponential, max_delay: 15s}"))
    began = world.clock.monotonic()
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert [a.state for a in run.steps["a"].attempts] == [StepState.FAILED, StepState.FAILED, StepState.SUCCEEDED]
    assert world.clock.monotonic() - began == pytest.approx(25.0, abs=0.5)
    envs = [dict(request.env) for request in world.executor.requests]
    assert [env["MLORCH_ATTEMPT"] for env in envs] == ["1", "2", "3"]
    assert len({env["MLORCH_VALUES"] for env in envs}) == 3


BEFORE = "${{ previous.state if previous != null else 'none' }} ${{ max(1, previous.peak_rss) }} ${{ max(0, previous.duration) }}"


def test_an_attempt_sees_how_the_one_before_went() -> None:
    outcomes = [Outcome(exit_code=1, lasts=2.0, peak_rss_bytes=700), Outcome(lasts=5.0, peak_rss_bytes=900)]
    world = ending(*outcomes, Outcome())
    spec = pipeline(f'a: {{run: [tool, "{BEFORE}"], retry: {{attempts: 2, delay: 1s}}}}')
    assert world.run(spec).state is RunState.SUCCEEDED
    first = [request.argv[1] for request in world.executor.requests]
    assert world.run(spec).state is RunState.SUCCEEDED
    assert world.started == ["a", "a"], "what went before is no reason to run again"
    assert first == ["none 1 0", "failed 700 2.0"]
    world.run(spec, force=["a"])
    assert world.executor.requests[-1].argv[1] == "succeeded 900 5.0"


def test_without_an_attempt_before_there_is_none_and_of_one_that_was_lost_no_numbers() -> None:
    lost = AttemptRecord(1, StepState.LOST)
    going = AttemptRecord(2, StepState.RUNNING)
    state = PartitionState(
        "p", "", runs=[RunRecord("r1", "p", "", steps={"a": StepRecord("a", attempts=[lost, going])})]
    )
    assert last_attempt(PartitionState("p", ""), "a") is None
    assert last_attempt(state, "b") is None
    assert last_attempt(state, "a") == {"peak_rss": None, "duration": None, "state": "lost"}


def test_of_runs_that_were_given_up_the_proof_tells_how_the_last_attempt_went() -> None:
    world = ending(Outcome(lasts=5.0, peak_rss_bytes=900))
    spec = pipeline(one())
    world.run(spec)
    state = world.state("p", "")
    state.runs.clear()
    assert last_attempt(state, "a") == {"peak_rss": 900, "duration": 5.0, "state": "succeeded"}


@pytest.mark.parametrize("allowed", ["true", "[3]"])
def test_allowed_failures_are_warnings_and_what_needs_them_goes_on(allowed: str) -> None:
    world = World(lambda request: Outcome(exit_code=3 if "/a/" in request.token else 0))
    spec = pipeline(
        one(f"allow_failure: {allowed}") + "\nb: {run: 'tool ${{ outputs.x }}', needs: [a], outputs: {x: out/b}}"
    )
    run = world.run(spec)
    assert (states(run), run.state, run.exit_code) == ({"a": "warning", "b": "succeeded"}, RunState.INCOMPLETE, 4)
    world.started.clear()
    assert states(world.run(spec)) == {"a": "warning", "b": "cached"}
    assert world.started == ["a"]
    world.script = lambda _: Outcome()
    assert states(world.run(spec)) == {"a": "succeeded", "b": "succeeded"}


def test_a_failure_that_is_not_allowed_blocks() -> None:
    world = World(lambda request: Outcome(exit_code=4 if "/a/" in request.token else 0))
    run = world.run(pipeline(one("allow_failure: [3]") + "\nb: {run: tool, needs: [a]}"))
    assert states(run) == {"a": "failed", "b": "blocked"}


def test_an_output_that_was_not_written_fails_the_step() -> None:
    world = World(silent={"a"})
    run = world.run(pipeline(one()))
    assert states(run) == {"a": "failed"}
    assert "${{ outputs.x }}" in run.steps["a"].detail
    assert run.steps["a"].last is not None
    assert run.steps["a"].last.cause == "output"


def test_an_output_written_to_its_final_path_is_told() -> None:
    world = World(silent={"a"})

    def write(_: AttemptRequest) -> None:
        world.clock.advance(1.0)
        world.files.put("out/a", "here")

    world.script = lambda _: Outcome(act=write)
    run = world.run(pipeline(one()))
    assert "write: in_place" in run.steps["a"].detail


def test_an_empty_output_is_told_when_it_may_not_be() -> None:
    world = World(silent={"a"})
    world.script = lambda request: Outcome(act=lambda _: world.files.put(dict(request.env)["MLORCH_OUTPUT_X"], ""))
    text = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: {path: out/a, check: %s}}}"
    assert "is empty" in world.run(pipeline(text % "non_empty")).steps["a"].detail
    assert world.run(pipeline(text % "exists")).state is RunState.SUCCEEDED


@pytest.mark.parametrize("former", ["", "older"])
def test_in_place_sets_aside_and_puts_back(former: str) -> None:
    world = World(lambda _: Outcome(exit_code=1, lasts=1.0))
    if former:
        world.files.put("out/a", former)
    spec = pipeline("a: {run: 'tool out/a', outputs: {x: out/a}, retry: 1}")
    seen: list[str | None] = []
    world.watcher.ticks = lambda: seen.append(world.files.text("out/a"))
    world.run(spec)
    assert "half" in seen, "the command writes to the final path"
    assert world.files.text("out/a") == (former or None)
    assert world.left_over() == []
    started = next(event for event in world.events() if isinstance(event, AttemptStarted))
    assert started.aside == (("out/a", "out/.mlorch-r1/a" if former else ""),)
    assert world.journal().durable >= 2


def test_a_folder_written_in_place_starts_empty_and_is_put_back() -> None:
    world = World(lambda _: Outcome(exit_code=1), silent={"a"})
    world.files.put("out/a/older", "1")
    spec = pipeline("a: {run: 'tool out/a', outputs: {x: {path: out/a/, write: in_place}}}")
    seen: list[int | None] = []
    world.script = lambda _: Outcome(exit_code=1, act=lambda _: seen.append(world.files.written("out/a")[0]))
    world.run(spec)
    assert seen == [0]
    assert world.listing() == {"out/a/older": "1"}
    world.script = lambda _: Outcome(act=lambda _: world.files.put("out/a/newer", "2"))
    assert world.run(spec).state is RunState.SUCCEEDED
    assert world.listing() == {"out/a/newer": "2"}
    assert world.left_over() == []


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("n=3\nf=1.5\nt=a=b\nb=true\n", {"n": 3, "f": 1.5, "t": "a=b", "b": True}),
        ('{"n": 3, "f": 2}\n\nt=\n{"b": false}', {"n": 3, "f": 2, "t": "", "b": False}),
        ("n=1\nn=2\nf=1\nt=x\nb=true", {"n": 2, "f": 1, "t": "x", "b": True}),
    ],
)
def test_values(written: str, seen: dict[str, object]) -> None:
    world = World(values={"a": written})
    run = world.run(pipeline("a: {run: tool, values: {n: integer, f: number, t: string, b: boolean}}"))
    assert run.state is RunState.SUCCEEDED
    assert json.loads(run.steps["a"].values) == seen


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "did not write its value n"),
        ("n=x", "not of type integer"),
        ("n=1.5", "not of type integer"),
        ("n=true", "not of type integer"),
        ("n", "neither `name=value` nor JSON"),
        ('{"n": 1', "is no JSON"),
        ("n=1\nm=2", "is not declared"),
        ('{"n": NaN}', "NaN"),
        ("n=1e999", "not of type integer"),
        ('{"n": 1' + "0" * 5000 + "}", "is no JSON"),
        ("n=" + "[" * 100_000, "not of type integer"),
        ('{"n": "a\\ud800"}', "half a character"),
        ("n=1\n" + "#" * 1024 * 1024, "small results"),
    ],
)
def test_wrong_values_fail_the_step(written: str, told: str) -> None:
    world = World(values={"a": written})
    run = world.run(pipeline("a: {run: tool, values: {n: integer}}"))
    assert states(run) == {"a": "failed"}
    assert told in run.steps["a"].detail


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"n": Infinity}', '{"n": -1e999}', "[" * 100_000, '{"\\udc00": 1}'])
def test_wrong_metrics_fail_the_step(text: str) -> None:
    world = World(metrics={"a": text})
    run = world.run(pipeline("a: {run: tool, metrics: out/m.json}"))
    assert states(run) == {"a": "failed"}
    assert world.files.text("out/m.json") is None
    assert world.left_over() == []


def test_values_and_metrics_are_read_by_what_follows() -> None:
    world = World(values={"a": "n=41"}, metrics={"a": '{"auc": {"test": 0.9}}'})
    spec = pipeline(
        """
        a: {run: tool, values: {n: integer}, metrics: out/m.json}
        b: {run: ["tool", "${{ steps.a.values.n + 1 }}", "${{ steps.a.metrics.auc.test }}"]}
        """
    )
    assert world.run(spec).state is RunState.SUCCEEDED
    assert world.executor.requests[-1].argv == ("tool", "42", "0.9")


def test_a_value_that_holds_a_secret_is_refused() -> None:
    world = World(values={"a": "t=hunter22"}, secrets={"PW": "hunter22"})
    spec = pipeline("a: {run: tool, values: {t: string}, secrets: [PW]}", "secrets: {PW: {env: PW}}")
    run = world.run(spec)
    assert "holds the secret PW" in run.steps["a"].detail
    assert "hunter22" not in repr(world.events())


CHECKS = "a: {run: 'tool ${{ outputs.x }}', outputs: {x: out/a}, values: {n: integer}, checks: [%s]}"


@pytest.mark.parametrize(
    ("check", "state", "told"),
    [
        ("{expr: values.n > 1}", "succeeded", ""),
        ("{expr: values.n > 9, message: too few}", "failed", "too few"),
        ("{expr: values.n > 9, severity: warn, message: too few}", "succeeded", "too few"),
        ("{expr: values.n > params.least}", "failed", "params.least"),
        ("{expr: values.n / 0 > 1}", "failed", "cannot be evaluated"),
        ("{expr: values.n / 0 > 1, severity: warn}", "succeeded", "cannot be evaluated"),
        ("{expr: metrics.auc > 0.5, severity: warn, message: low}", "succeeded", "low (the check `metrics.auc > 0.5`"),
        ("{expr: metrics.auc > 0.5, severity: warn}, {expr: values.n > 9}", "failed", "`values.n > 9` is false"),
        ("{run: 'look ${{ values.n / 0 }}'}", "failed", "cannot be started"),
        ("{run: 'look ${{ values.n / 0 }}', severity: warn}", "succeeded", "cannot be started"),
        ("{run: 'look ${{ values.n / 0 }}', severity: warn}, {run: fails}", "failed", "exit status 1"),
        (
            "{expr: values.n > 9, message: 'only ${{ values.n }} of ${{ params.least }}'}",
            "failed",
            "only 3 of 7 (the check",
        ),
        ("{run: fails, message: '${{ values.n }} are bad'}", "failed", "3 are bad (the check"),
        ("{run: fails, message: 'a ${{ values.n / 0 }} b'}", "failed", "a ${{ values.n / 0 }} b (the check"),
        ("{run: look}", "succeeded", ""),
        ("{run: fails, message: bad rows}", "failed", "bad rows"),
        ("{run: fails, severity: warn}", "succeeded", "exit status 1"),
        ("{run: fails, severity: warn}, {run: look}, {run: fails}", "failed", "exit status 1"),
    ],
)
def test_checks(check: str, state: str, told: str) -> None:
    world = World(values={"a": "n=3"}, params={"least": 7})
    world.script = lambda request: Outcome(exit_code=int(request.argv[0] == "fails"), lasts=1.0)
    spec = pipeline(CHECKS % check, "params: {least: 7}")
    run = world.run(spec)
    assert states(run) == {"a": state}
    assert told in run.steps["a"].detail
    assert world.files.text("out/a") == ("a()" if state == "succeeded" else None)
    assert world.started == ["a"]
    assert world.peak == 1


def test_check_commands_see_what_the_step_made_and_go_on_in_its_log() -> None:
    world = World(values={"a": "n=3"})
    world.run(pipeline(CHECKS % "{run: [look, '${{ outputs.x }}', '${{ values.n }}']}, {run: look}"))
    command, first, second = world.executor.requests
    assert first.argv == ("look", "out/.mlorch-r1/a", "3")
    assert command.log == first.log == second.log


def test_a_file_that_cannot_be_read_fails_its_step_only() -> None:
    world = World()
    world.files.put("data", "1")
    world.files.unreadable["data"] = FileError("cannot read data: Permission denied", path="data")
    spec = pipeline(
        """
        a: {run: tool, inputs: {d: data}}
        b: {run: tool}
        c: {run: tool, needs: [a]}
        """
    )
    run = world.run(spec)
    assert states(run) == {"a": "failed", "b": "succeeded", "c": "blocked"}
    assert "Permission denied" in run.steps["a"].detail


@pytest.mark.parametrize("operation", ["stage", "move", "set_aside", "write_text"])
@pytest.mark.parametrize("attempts", [1, 2])
def test_a_place_that_refuses_fails_its_step_only(operation: str, attempts: int) -> None:
    world = World()
    world.files.put("bad/a", "older")

    def refuse(what: tuple[str, ...]) -> Exception | None:
        if what[0] == operation and any(part.startswith("bad/") or "/a.1." in part or "/a.2." in part for part in what):
            return FileError(f"cannot {operation} {what[1]}: Permission denied", path=what[1])
        return None

    world.files.refuse = refuse
    command = "tool bad/a" if operation == "set_aside" else "tool ${{ outputs.x }}"
    spec = pipeline(
        f"""
        a: {{run: '{command}', outputs: {{x: bad/a}}, retry: {attempts - 1}}}
        b: {{run: 'tool ${{{{ outputs.x }}}}', outputs: {{x: out/b}}}}
        """
    )
    run = world.run(spec)
    assert (states(run), run.exit_code) == ({"a": "failed", "b": "succeeded"}, 1)
    assert "Permission denied" in run.steps["a"].detail
    assert world.files.text("bad/a") == "older"
    assert world.left_over() == []
    world.files.refuse = lambda _: None
    assert world.run(spec).state is RunState.SUCCEEDED


def test_former_outputs_that_cannot_be_put_back_are_kept_and_told() -> None:
    world = World(lambda request: Outcome(exit_code=int("/a/" in request.token)))
    world.files.put("out/a", "older")
    world.files.refuse = lambda what: (
        FileError(f"cannot write {what[-1]}: busy") if what == ("remove", "out/a") else None
    )
    run = world.run(pipeline("a: {run: 'tool out/a', outputs: {x: out/a}}\nb: {run: tool}"))
    assert states(run) == {"a": "failed", "b": "succeeded"}
    assert "out/.mlorch-r1/a" in run.steps["a"].detail
    assert world.files.text("out/.mlorch-r1/a") == "older"


def test_what_is_left_over_and_cannot_be_removed_is_told_and_harms_nothing() -> None:
    world = World()
    world.files.refuse = lambda what: (
        FileError("cannot remove it: busy") if what[0] == "remove" and "mlorch" in what[1] else None
    )
    assert world.run(pipeline(one())).state is RunState.SUCCEEDED
    assert any("busy" in note for note in world.watcher.notes)


@pytest.mark.parametrize("when", ["disk", "journal"])
def test_a_full_disk_stops_mlorch_with_a_clear_error_and_the_next_run_goes_on(when: str) -> None:
    world = World()
    spec = pipeline(one() + "\nb: {run: 'tool ${{ outputs.x }}', needs: [a], outputs: {x: out/b}}")
    if when == "journal":
        world.journal().room = 3
    else:
        world.files.refuse = lambda what: StateError("No space left on device") if "out/b" in what else None
    with pytest.raises(StateError, match="No space"):
        world.run(spec)
    world.crash()
    world.journal().room, world.files.refuse = None, lambda _: None
    assert world.run(spec).state is RunState.SUCCEEDED
    assert world.listing() == {"out/a": "a()", "out/b": "b()"}
    assert world.started.count("a") == 1
    assert world.left_over() == []


def test_the_environment_of_a_step() -> None:
    world = World(params={"p": [1, "x"], "unused": 1}, secrets={"PW": "hunter22"})
    world.files.put("data", "1")
    spec = pipeline(
        """
        a:
          run: 'tool ${{ outputs.x }} ${{ params.p }}'
          inputs: {d: data}
          outputs: {x: out/a}
          metrics: out/m.json
          secrets: [PW]
          env: {LEVEL: 'step', OTHER: '${{ params.p[1] }}'}
        """,
        "params: {p: {default: [1]}, unused: 1}\nsecrets: {PW: {env: PW}}\nenv: {LEVEL: pipeline, ABOVE: above}",
    )
    world.run(spec)
    request = world.executor.requests[0]
    env = dict(request.env)
    assert env["MLORCH_PARAM_P"] == '[1, "x"]'
    assert "MLORCH_PARAM_UNUSED" not in env
    assert env["MLORCH_INPUT_D"] == "/project/data"
    assert env["MLORCH_OUTPUT_X"] == "/project/out/.mlorch-r1/a"
    assert env["MLORCH_METRICS"] == "/project/out/.mlorch-r1/m.json"
    assert (env["LEVEL"], env["OTHER"], env["ABOVE"], env["PW"]) == ("step", "x", "above", "hunter22")
    assert request.masks == (b"hunter22",)
    assert "hunter22" not in repr(world.events())
    context = json.loads(world.files.text(env["MLORCH_CONTEXT"]) or "")
    assert context["params"] == {"p": [1, "x"]}
    assert context["outputs"]["x"] == "/project/out/.mlorch-r1/a"
    assert "hunter22" not in repr(context)


def test_what_only_values_show_fails_the_step() -> None:
    world = World(params={"p": None})
    spec = pipeline("a: {run: 'tool ${{ params.p }}'}\nb: {run: tool}", "params: {p: {default: null}}")
    run = world.run(spec)
    assert states(run) == {"a": "failed", "b": "succeeded"}
    assert world.started == ["b"]


def test_succeeded_attempts_keep_what_they_used() -> None:
    world = World(lambda _: Outcome(lasts=2.5, peak_rss_bytes=1000, cpu_s=0.5))
    run = world.run(pipeline(one()), options=Options(slots=1))
    last = run.steps["a"].last
    assert last is not None
    assert (last.duration_s, last.peak_rss_bytes, last.cpu_s) == (2.5, 1000, 0.5)
    done = next(event for event in world.events() if isinstance(event, StepSucceeded))
    assert [(a.name, a.path) for a in done.outputs] == [("x", "out/a")]
    assert not any(isinstance(event, AttemptEnded) for event in world.events())


def test_an_attempt_lost_with_its_supervisor_is_made_again_and_costs_no_retry() -> None:
    lost = Outcome(cause="lost", lasts=1.0)
    world = ending(lost, lost, Outcome(exit_code=1), Outcome())
    spec = pipeline(one("retry: {attempts: 2, delay: 10s, backoff: linear}"))
    began = world.clock.monotonic()
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert [attempt.state for attempt in run.steps["a"].attempts] == ["lost", "lost", "failed", "succeeded"]
    assert world.clock.monotonic() - began == pytest.approx(12.0, abs=0.5)
    assert world.left_over() == []


def test_a_step_that_is_lost_again_and_again_is_given_up() -> None:
    world = ending(Outcome(cause="lost"))
    run = world.run(pipeline(one("retry: 5")))
    assert (states(run), run.exit_code, len(world.started)) == ({"a": "lost"}, 1, 3)


def test_effects_outside_that_were_lost_are_not_repeated() -> None:
    world = ending(Outcome(cause="lost"))
    run = world.run(pipeline(one("side_effects: external, retry: 5")))
    assert (states(run), len(world.started)) == ({"a": "lost"}, 1)
