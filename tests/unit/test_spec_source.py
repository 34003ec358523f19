"""Strict YAML: what a text means, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from mlorch.spec import source, syntax
from mlorch.spec.places import Map, Text, token_at


def value(text: str) -> Any:
    read = source.read(f"k: {text}\n".encode(), "a.yaml")
    assert read.diagnostics == ()
    assert read.data is not None
    return read.data["k"]


def codes(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [problem.code for problem in source.read(data, "a.yaml").diagnostics]


@pytest.mark.parametrize(
    "text",
    ["no", "on", "yes", "NO", "y", "1:30:00", "12:30:45", "2013-01-01", "2026-13-45", "0755", "010", "-01", "1_000", "0b1", "1e", "+", ".", "0x", "=", "<"],
)  # fmt: skip
def test_stays_what_was_typed(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("0", 0), ("-7", -7), ("+7", 7), ("0o10", 8), ("0x1F", 31), ("1.10", 1.1), ("1e3", 1000.0), ("-.5", -0.5), ("5.", 5.0),
        ("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None), (".inf", float("inf")),
        ("'007'", "007"), ("'true'", "true"), ('"\\u00e9"', "é"), ("!!str 5", "5"), ("! 5", "5"), ("!!int 5", 5), ("!!float 5", 5),
    ],
)  # fmt: skip
def test_core_schema(text: str, meaning: Any) -> None:
    found = value(text)
    assert found == meaning
    assert type(found) is type(meaning)


def test_keys_are_text_as_typed() -> None:
    read = source.read(b"on: 1\n1: 2\nnull: 3\n0755: 4\n", "a.yaml")
    assert read.data == {"on": 1, "1": 2, "null": 3, "0755": 4}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"\xff\xfea\x00:\x00", "E101"), ("a: 1".encode("utf-16-be"), "E103"), (b"a: \xc3\x28\n", "E101"), (b"a: \x00\n", "E103"), (b"a: \x07\n", "E103"),
        ("", "E110"), ("# nothing\n", "E110"), ("---\n", "E110"), ("- a\n", "E111"), ("text\n", "E111"), ("5\n", "E111"),
        ("a: 1\n---\nb: 2\n", "E109"), ("a: 1\na: 2\n", "E107"), ("a: 1\n'a': 2\n", "E107"), ("1: 1\n'1': 2\n", "E107"),
        ("a: &x [*x]\n", "E113"), ("a: *x\n", "E117"), ("<<: {a: 1}\n", "E108"), ("a: !foo 1\n", "E114"), ("a: !!int x\n", "E114"),
        ("? [a]\n: 1\n", "E115"), ("? \n: 1\n", "E115"), ("a:\n\t- 1\n", "E106"), ("a:\t1\n", "E106"), ("a: " + "9" * 5000 + "\n", "E116"),
        ("a: 0x" + "f" * 5000 + "\n", "E116"), ("a: [1\n", "E104"), ("a: 'x\n", "E104"), ("a: b: c\n", "E104"), ("a: @x\n", "E104"),
        ("s: */15 * * * *\n", "E104"), ("a: %x\n", "E104"), ("a:\n  b: 1\n c: 2\n", "E104"), ("a: {x: ${{ y }}}\n", "E105"),
        ("x-a: " + "[" * 65 + "]" * 65, "E112"), ("x-a: " + "[" * 30_000, "E112"), ("x-a:\n" + "".join("  " * i + "- \n" for i in range(1, 70)), "E112"),
    ],
)  # fmt: skip
def test_refused(text: str | bytes, code: str) -> None:
    assert codes(text)[0] == code


def test_a_quoted_merge_sign_is_a_plain_key() -> None:
    assert source.read(b"'<<': 1\n", "a.yaml").data == {"<<": 1}


def test_a_byte_order_mark_is_no_matter() -> None:
    assert source.read(b"\xef\xbb\xbfa: 1\n", "a.yaml").data == {"a": 1}


def test_64_levels_are_fine() -> None:
    assert codes("x-a: " + "[" * 63 + "]" * 63) == []


def test_larger_than_32_mib_is_refused_unread() -> None:
    data = b"x-a: '" + b"y" * source.MAX_BYTES + b"'\n"
    found = source.read(data, "a.yaml").diagnostics
    assert [problem.code for problem in found] == ["E102"]
    assert "32 MiB" in found[0].message


@pytest.mark.parametrize(
    "bomb",
    [
        "a: " + "[" * 30_000,
        "a: " + "{x: " * 30_000,
        "x0: &x0 [1]\n" + "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "a: &a {}\n" + "".join(f"b{i}: &b{i} {{c: *{'a' if i == 0 else f'b{i - 1}'}}}\n" for i in range(200)),
    ],
)
def test_bombs_are_refused_at_once(bomb: str) -> None:
    begun = time.process_time()
    assert codes(bomb)
    assert time.process_time() - begun < 1


def test_anchors_may_be_used_twice() -> None:
    read = source.read(b"x-e: &e {A: 1}\na: *e\nb: [*e, *e]\nc: &t text\nd: *t\n*t : 5\n", "a.yaml")
    assert read.diagnostics == ()
    assert read.data == {"x-e": {"A": 1}, "a": {"A": 1}, "b": [{"A": 1}, {"A": 1}], "c": "text", "d": "text", "text": 5}


def test_tabs_in_texts_and_comments_are_fine() -> None:
    assert codes("a: 'x\ty'\nb: |\n  one\n  \ttwo\n# a\tcomment\nc: 1 # x\ty\n") == []


def test_says_all_that_can_be_said_at_once() -> None:
    text = "a: 1\na: 2\nb: [${{ x }}, '${{ y }}']\nc: {d: pre-${{ z, 'q' }}-post}\ne: *nope\nf: [\n"
    assert codes(text) == ["E105", "E105", "E107", "E117", "E104"]


def test_a_covered_expression_comes_back_into_the_data() -> None:
    read = source.read(b"a: [x, ${{ params.lr }}, --y=${{ z }}]\n", "a.yaml")
    assert read.data == {"a": ["x", "${{ params.lr }}", "--y=${{ z }}"]}


def test_the_parser_in_python_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a: 1\na: 2\nb: {c: [1, 'x', ${{ y }}]}\nd: &d |\n  t\ne: *d\n"
    fast = source.read(text, "a.yaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert not isinstance(syntax._parser(""), yaml.CSafeLoader)
    slow = source.read(text, "a.yaml")
    assert slow.data == fast.data
    assert slow.diagnostics == fast.diagnostics


def test_every_key_and_value_has_its_place() -> None:
    text = "é: 1\nsteps:\n  one: {run: 'x', env: {A: b}}\r\n  two:\n    needs: [ one,  three ]\n"
    read = source.read(text.encode(), "a.yaml")
    assert read.data is not None
    steps = read.data["steps"]
    assert isinstance(steps, Map)
    key, at = steps["one"].mark("env")
    assert (str(read.text.place(key)), str(read.text.place(at))) == ("a.yaml:3:19", "a.yaml:3:24")
    third = steps["two"]["needs"].marks[1]
    assert (read.text.place(third).line, read.text.place(third).column, read.text.place(third).width) == (5, 20, 5)


def test_places_stay_when_keys_are_dropped() -> None:
    data = source.read(b"a: 1\nb: 2\nc: 3\n", "a.yaml").data
    assert data is not None
    data.drop("a")
    assert data == {"b": 2, "c": 3}
    assert data.mark("c") == (10, 13)
    assert data.mark("a") == (0, 3)


def test_over_merges_mappings_and_replaces_the_rest() -> None:
    data = source.read(
        b"base: {env: {A: 1, B: 2}, needs: [x], timeout: 5m}\nown: {env: {B: 3}, needs: [y]}\n", "a.yaml"
    ).data
    assert data is not None
    merged = data["own"].over(data["base"])
    assert merged == {"env": {"A": 1, "B": 3}, "needs": ["y"], "timeout": "5m"}
    assert merged.mark("timeout") == data["base"].mark("timeout")
    assert merged.mark("needs") == data["own"].mark("needs")
    assert data["own"] == {"env": {"B": 3}, "needs": ["y"]}


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("abc def: x", "abc def"), ("abc # note", "abc"), ("'it''s' x", "'it''s'"), ('"a\\"b" c', '"a\\"b"'), ("[1, 2]", "["),
        ("http://x/y", "http://x/y"), ("a, b", "a, b"), ("&x y", "&x"), ("", ""),
    ],
)  # fmt: skip
def test_width_of_the_mark(text: str, token: str) -> None:
    assert token_at(text, 0) == token


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("k: a ${{ bad }} c", "bad"),
        ("k: 'a ${{ bad }} c'", "bad"),
        ('k: "é \\" ${{ x }} ${{ bad }}"', "bad"),
        ("k: |\n    one\n    two ${{ x }}\n    ${{ bad }}\n", "bad"),
        ("k: >\n    one ${{ x }}\n    two ${{ bad }}\n", "bad"),
        ("k: |\n    one\n    when bad\n", "bad"),
    ],
)
def test_a_place_inside_a_text(text: str, needle: str) -> None:
    read = source.read(text.encode(), "a.yaml")
    assert read.data is not None
    scalar = read.data["k"]
    offset = read.text.inside(read.data.mark("k")[1], scalar, scalar.index(needle))
    assert text[offset:].startswith(needle)


def test_lines_end_in_three_ways() -> None:
    text = Text("f", "a\r\nb\rc\nd")
    assert [text.line_text(line) for line in (1, 2, 3, 4)] == ["a", "b", "c", "d"]
    assert str(text.place(text.text.index("d"))) == "f:4:1"
