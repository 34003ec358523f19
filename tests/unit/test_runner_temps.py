"""Temporary outputs: removed when the last reader is done, not missing meanwhile, made again when somebody needs them."""

from __future__ import annotations

import pytest

from mlorch.model.events import OutputRemoved
from mlorch.model.spec import Step
from mlorch.model.states import RunState
from mlorch.runner.loop import Options
from mlorch.testing.executor import Outcome
from tests.support.specs import made, writes
from tests.support.world import World, states

TEMP = writes("t", temp=True)


def test_it_is_gone_when_its_readers_are_done_and_nothing_is_stale() -> None:
    world, spec = World(), made(TEMP, writes("a", "t"), writes("b", "t"))
    run = world.run(spec)
    assert run.state is RunState.SUCCEEDED
    assert set(world.listing()) == {"out/a", "out/b"}
    assert [e.path for e in world.events() if isinstance(e, OutputRemoved)] == ["out/t"]
    assert world.reasons(spec) == {}
    assert world.run(spec).run_id == ""


def test_its_removal_is_durable_before_it_happens() -> None:
    """Otherwise a power failure would make it missing, and done twice."""
    world = World()
    journal = world.journal()
    seen: list[int] = []

    def refuse(what: tuple[str, ...]) -> None:
        if what == ("remove", "out/t"):
            seen.append(next(i for i, e in enumerate(journal.events) if isinstance(e, OutputRemoved)) - journal.durable)

    world.files.refuse = refuse
    world.run(made(TEMP, writes("a", "t")))
    assert len(seen) == 1
    assert seen[0] < 0


def test_it_stays_while_a_reader_failed_and_goes_after_the_next_run() -> None:
    world = World(lambda request: Outcome(exit_code=int("/b/" in request.token)))
    spec = made(TEMP, writes("a", "t"), writes("b", "t"))
    world.run(spec)
    assert "out/t" in world.listing()
    world.script = lambda _: Outcome()
    world.started.clear()
    run = world.run(spec, options=Options(slots=1))
    assert states(run) == {"t": "cached", "a": "cached", "b": "succeeded"}
    assert set(world.listing()) == {"out/a", "out/b"}


def test_it_goes_when_its_last_reader_is_reused_after_the_others_ran() -> None:
    """Readers come in the order of the graph: here the one that is reused is looked at last."""
    world = World(lambda request: Outcome(exit_code=int("/a/" in request.token)))
    spec = made(TEMP, writes("a", "t"), writes("after", "a"), writes("b", "t"))
    world.run(spec)
    world.script = lambda _: Outcome()
    world.run(spec, options=Options(slots=1))
    assert "out/t" not in world.listing()


def test_it_is_made_again_when_a_reader_is_stale() -> None:
    world = World()
    spec = made(TEMP, writes("a", "t"), writes("b", "t"))
    world.run(spec)
    world.started.clear()
    changed = made(TEMP, writes("a", "t")._replace(run=("other", "${{ outputs.x }}")), writes("b", "t"))
    assert world.reasons(changed) == {"t": "output_missing", "a": "waiting_upstream", "b": "waiting_upstream"}
    run = world.run(changed)
    assert states(run) == {"t": "succeeded", "a": "succeeded", "b": "cached"}, "the same bytes make nobody else stale"
    assert world.started == ["t", "a"]
    assert set(world.listing()) == {"out/a", "out/b"}


def test_a_chain_of_them_is_made_again_from_its_beginning() -> None:
    world = World()
    second, last = writes("u", "t", temp=True), writes("a", "u")
    world.run(made(TEMP, second, last))
    assert set(world.listing()) == {"out/a"}
    world.started.clear()
    run = world.run(made(TEMP, second, last._replace(run=("other", "${{ outputs.x }}"))))
    assert run.state is RunState.SUCCEEDED
    assert world.started == ["t", "u", "a"]
    assert set(world.listing()) == {"out/a"}


def test_it_is_not_made_again_for_what_is_not_stale_itself() -> None:
    world = World()
    tail = writes("z", "a")
    world.run(made(TEMP, writes("a", "t"), tail))
    world.started.clear()
    world.run(made(TEMP, writes("a", "t"), tail._replace(run=("other", "${{ outputs.x }}"))))
    assert world.started == ["z"]


def test_one_without_readers_stays() -> None:
    world = World()
    world.run(made(TEMP))
    assert set(world.listing()) == {"out/t"}


def test_it_is_kept_for_a_reader_that_was_not_selected() -> None:
    world, spec = World(), made(TEMP, writes("a", "t"), writes("b", "t"))
    world.run(spec, until=["a"])
    assert "out/t" in world.listing()
    world.run(spec)
    assert set(world.listing()) == {"out/a", "out/b"}


def test_a_reader_that_is_run_alone_says_that_it_is_not_there() -> None:
    world = World()
    spec = made(TEMP, writes("a", "t"))
    world.run(spec)
    changed = made(TEMP, writes("a", "t")._replace(run=("other", "${{ outputs.x }}")))
    run = world.run(changed, only=["a"])
    assert states(run) == {"a": "not_ready"}
    assert "out/t" in run.steps["a"].detail
    assert world.run(changed).state is RunState.SUCCEEDED


@pytest.mark.parametrize("after", ["record", "removal"])
def test_cut_off_while_it_is_removed(after: str) -> None:
    spec = made(TEMP, writes("a", "t"))
    whole = World()
    whole.run(spec)
    index = next(i for i, event in enumerate(whole.events(), 1) if isinstance(event, OutputRemoved))
    world = World()
    world.journal().kill_after = index if after == "record" else index + 1
    assert world.killed(spec)
    assert world.run(spec).run_id == ""
    assert set(world.listing()) == {"out/a"}
    assert world.started == ["t", "a"]


def test_cut_off_before_it_is_removed() -> None:
    spec = made(TEMP, writes("a", "t"))
    whole = World()
    whole.run(spec)
    index = next(i for i, event in enumerate(whole.events(), 1) if isinstance(event, OutputRemoved))
    world = World()
    world.journal().kill_after = index - 1
    assert world.killed(spec)
    assert states(world.run(spec)) == {"t": "cached", "a": "cached"}
    assert set(world.listing()) == {"out/a"}
    assert world.run(spec).run_id == ""


def test_only_some_of_the_outputs_are_temporary() -> None:
    outputs = (TEMP.outputs[0], TEMP.outputs[0]._replace(name="y", path="out/kept", temp=False))
    both = Step("t", ("tool", "${{ outputs.x }}", "${{ outputs.y }}"), outputs=outputs)
    world = World()
    spec = made(both, writes("a", "t"))
    world.run(spec)
    assert set(world.listing()) == {"out/a", "out/kept"}
    world.files.remove("out/kept")
    assert world.reasons(spec)["t"] == "output_missing"
