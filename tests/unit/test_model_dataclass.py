"""Our `dataclass` beside the standard one: the same class made by both must behave alike."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, ClassVar

import pytest

from mlorch.model import dataclass as ours


def both(*, frozen: bool, order: bool = False) -> list[tuple[type[Any], type[Any]]]:
    """A class of every shape that the package uses, made by our decorator and by the standard one."""
    made = []
    for dataclass, field in ((ours.dataclass, ours.field), (dataclasses.dataclass, dataclasses.field)):

        @dataclass(frozen=frozen, slots=True, order=order)
        class Thing:
            KIND: ClassVar[str] = "thing"
            name: str
            size: int
            tags: tuple[str, ...] = ()
            hidden: str = field(default="", repr=False)
            notes: list[str] = field(default_factory=list)

        @dataclass(frozen=frozen, slots=True)
        class Later:
            first: str
            second: str = field(init=False, default="made")
            third: list[str] = field(init=False, default_factory=list)

            def __post_init__(self) -> None:
                self.third.append(self.first)

        made.append((Thing, Later))
    return made


CALLS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    (("a", 1), {}),
    (("a", 1, ("x",), "h", ["n"]), {}),
    (("a",), {"size": 2}),
    ((), {"size": 2, "name": "b", "hidden": "h"}),
    ((), {"size": 2, "name": "b", "notes": ["z"]}),
)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("given", "named"), CALLS)
def test_values_and_text_are_the_standard_ones(given: tuple[Any, ...], named: dict[str, Any], *, frozen: bool) -> None:
    (mine, _), (standard, _) = both(frozen=frozen)
    one, other = mine(*given, **named), standard(*given, **named)
    assert repr(one) == repr(other)
    assert dataclasses.asdict(one) == dataclasses.asdict(other)
    assert mine.__match_args__ == standard.__match_args__
    assert mine.__slots__ == standard.__slots__
    assert mine.KIND == standard.KIND == "thing"
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((), {}),
        (("a",), {}),
        (("a", 1, (), "", [], 5), {}),
        (("a", 1), {"size": 2}),
        (("a", 1), {"colour": "red"}),
    ],
)
def test_wrong_arguments_are_type_errors_as_of_the_standard_one(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    (mine, _), (standard, _) = both(frozen=True)
    for cls in (mine, standard):
        with pytest.raises(TypeError, match="Thing"):
            cls(*given, **named)


def test_each_instance_gets_a_list_of_its_own() -> None:
    (mine, later), _ = both(frozen=False)
    one, other = mine("a", 1), mine("a", 1)
    one.notes.append("x")
    assert other.notes == []
    assert later("a").third == ["a"]
    assert later("b").third == ["b"]
    assert later("a").second == "made"


def test_equality_holds_within_one_class_only() -> None:
    (mine, _), (standard, _) = both(frozen=True)
    assert mine("a", 1) == mine("a", 1)
    assert mine("a", 1) != mine("a", 2)
    assert mine("a", 1) != standard("a", 1)
    assert mine("a", 1) != "a"


def test_what_is_frozen_is_hashable_and_stays_as_it_is() -> None:
    @ours.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    point = Point(1)
    assert {point: "here"}[Point(1, 0)] == "here"
    for name in ("x", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(point, name, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert point == Point(1)


def test_what_is_not_frozen_changes_and_has_no_hash() -> None:
    (mine, _), _ = both(frozen=False)
    thing = mine("a", 1)
    thing.name = "b"
    assert thing == mine("b", 1)
    with pytest.raises(TypeError):
        hash(thing)
    with pytest.raises(AttributeError):
        thing.colour = "red"


def test_order_goes_by_the_fields() -> None:
    (mine, _), (standard, _) = both(frozen=True, order=True)
    for cls in (mine, standard):
        low, high = cls("a", 2), cls("b", 1)
        assert low < high and low <= high and high > low and high >= low and low <= cls("a", 2)
        with pytest.raises(TypeError):
            assert low < "z"
    (unordered, _), _ = both(frozen=True)
    with pytest.raises(TypeError):
        assert unordered("a", 2) < unordered("b", 1)


@pytest.mark.parametrize("replace", [ours.replace, dataclasses.replace])
def test_replace_makes_another_one(replace: Any) -> None:
    (mine, _), _ = both(frozen=True)
    thing = mine("a", 1, hidden="h")
    assert replace(thing, size=2) == mine("a", 2, hidden="h")
    assert thing.size == 1
    with pytest.raises(TypeError):
        replace(thing, colour="red")


def test_the_standard_tools_know_the_fields() -> None:
    (mine, later), (standard, standard_later) = both(frozen=True)
    for one, other in ((mine, standard), (later, standard_later)):
        assert dataclasses.is_dataclass(one)
        assert [(f.name, f.init, f.repr, f.default) for f in dataclasses.fields(one)] == [
            (f.name, f.init, f.repr, f.default) for f in dataclasses.fields(other)
        ]


@ours.dataclass(frozen=True, slots=True)
class Kept:
    """At the top of a module, where pickle finds it."""

    name: str
    parts: tuple[Kept, ...] = ()


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda kept: pickle.loads(pickle.dumps(kept))])  # noqa: S301 - our own bytes
def test_copies_are_equal(again: Any) -> None:
    kept = Kept("a", (Kept("b"),))
    assert again(kept) == kept


def test_patterns_match_by_position() -> None:
    match Kept("a", (Kept("b"),)):
        case Kept(name, (Kept(inner),)):
            assert (name, inner) == ("a", "b")
        case _:
            pytest.fail("no match")


def test_what_a_class_defines_itself_counts() -> None:
    @ours.dataclass(frozen=True, slots=True)
    class Odd:
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Odd) and self.x % 2 == other.x % 2

        def __hash__(self) -> int:
            return self.x % 2

        def __repr__(self) -> str:
            return "odd"

    assert Odd(1) == Odd(3) and hash(Odd(1)) == hash(Odd(3)) and repr(Odd(1)) == "odd"


def test_a_value_that_holds_itself_can_be_shown() -> None:
    @ours.dataclass(slots=True)
    class Node:
        inside: list[Any] = ours.field(default_factory=list)

    node = Node()
    node.inside.append(node)
    assert "..." in repr(node)


def test_mistakes_of_a_class_show_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="slots"):
        ours.dataclass(frozen=True)(type("Loose", (), {}))
    with pytest.raises(ValueError, match="default_factory"):
        ours.dataclass(slots=True)(type("Shared", (), {"__annotations__": {"x": "list[int]"}, "x": []}))
    with pytest.raises(TypeError, match="non-default"):
        ours.dataclass(slots=True)(type("Late", (), {"__annotations__": {"x": "int", "y": "int"}, "x": 1}))
