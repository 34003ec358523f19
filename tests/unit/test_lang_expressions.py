from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mlorch.lang.expressions import (
    Expression,
    ExpressionError,
    NotKnownYet,
    condition,
    evaluate,
    parse,
    parts,
    places,
    references,
    render,
    value_of,
)
from mlorch.model.errors import StateError

NEW_YORK = ZoneInfo("America/New_York")


class Lazy(Mapping[str, object]):
    """Values that may not be there yet."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, key: str) -> object:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        raise self.error


SCOPE: dict[str, object] = {
    "params": {"day": "2013-01-31", "lambda": 1, "n": 3, "l": [1, 2], "t": (1, 2), "f": 0.5, "a.b": 7, "on": True, "m": {"b": 1, "a": None}},
    "partition": {"key": "2013-11-03", "start": datetime(2013, 11, 3, tzinfo=NEW_YORK), "end": datetime(2013, 11, 4, tzinfo=NEW_YORK)},
    "previous": None,
    "steps": Lazy(NotKnownYet("train")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("params.day", "2013-01-31"), ("params.lambda", 1), ("params['lambda']", 1), ('params["a.b"]', 7), ("params . day", "2013-01-31"),
        ("params.lambda + 1", 2), ("params.l[0]", 1), ("params.l[-1]", 2), ("params.day[0]", "2"), ("params.t + [3]", [1, 2, 3]),
        ("params.t", [1, 2]), ("[1, 'a', null]", [1, "a", None]), ("1 + 2 * 3 - 4 / 2", 5.0), ("7 // 2 + 7 % 2", 4), ("-params.n", -3),
        ("'a' if params.n > 2 else 'b'", "a"), ("not true or false", False), ("1 < 2 <= 2 != 3", True), ("2 in params.l", True),
        ("'day' in params and 'x' not in params", True), ("'01' in params.day", True), ("null == previous", True), ("null", None),
        ("min(3, null, 2)", 2), ("max([])", None), ("max(1*GiB, previous.peak_rss * 2)", 2**30), ("len(params.l) + len('abc')", 5),
        ("round(2.567, 1)", 2.6), ("round(2.4)", 2), ("sum(params.l)", 3), ("any([false, 1])", True), ("all([])", True), ("abs(-3)", 3),
        ("2*h + 30*m", 9000), ("10*MiB", 10 * 2**20), ("'}}'", "}}"), (r"'it\'s \\ \x41\u00e9'", "it's \\ Aé"), ("'a' + 'b'", "ab"),
        ("params.n\n  + 1", 4), ("date(partition.start, '%Y/%m')", "2013/11"), ("date('2013-01-31', '%G-W%V')", "2013-W05"),
        ("date(partition.start)", "2013-11-03"), ("partition.end - partition.start", 25 * 3600.0), ("partition.start < partition.end", True),
        ("previous.a.b.c", None), ("1.5e3", 1500.0), ("true and 'x'", "x"), ("params.m.a", None), ("max('a', 'b')", "b"),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    got = evaluate(parse(text), SCOPE)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("partition.start + 1*d", "2013-11-04T00:00:00-05:00"),
        ("partition.start + 7*d", "2013-11-10T00:00:00-05:00"),
        ("partition.start + 25*h", "2013-11-04T00:00:00-05:00"),
        ("partition.end - 1*d", "2013-11-03T00:00:00-04:00"),
        ("partition.start + 2*h", "2013-11-03T01:00:00-05:00"),
    ],
)
def test_whole_days_go_by_the_calendar_and_hours_by_the_clock(text: str, iso: str) -> None:
    assert render(f"${{{{ {text} }}}}", SCOPE) == iso


@pytest.mark.parametrize(
    ("text", "message", "offset", "hint"),
    [
        ("params.dya", "`params.dya` does not exist", 0, "did you mean `params.day`?"),
        ("parms.day", "`parms` does not exist", 0, "did you mean `params`?"),
        ("1 + params.zz", "`params.zz` does not exist", 4, "there is a.b, day"),
        ("'é' + params.lambdaa", "`params.lambdaa` does not exist", 6, "did you mean `params.lambda`?"),
        ("params.day.upper", "is a text, which has no names in it", 0, ""),
        ("params.__class__", "`params.__class__` does not exist", 0, ""),
        ("params.l[5]", "there is no item 5: a list of 2", 0, ""),
        ("params.l['a']", "", 0, ""),
        ("params.day + 1", "cannot add a text and a number", 0, "side by side"),
        ("1 / 0", "division by zero", 0, ""),
        ("params.day < 3", "cannot compare a text with a number", 0, ""),
        ("null < 3", "null is neither less nor more", 0, "test for it first"),
        ("partition.start > '2013'", "cannot compare a time with a text", 0, "partition.key"),
        ("min(1, 'a')", "cannot compare a number with a text", 0, ""),
        ("sum('abc')", "`sum` needs a list", 0, ""),
        ("date('soon')", "`soon` is no date", 0, "2013-01-31"),
        ("date(partition.start, '%q')", "`%q` is not known", 0, "%Y"),
        ("date(partition.start, '%99999999d')", "`%9` is not known", 0, ""),
        ("date(partition.start + 9999999999*d)", "beyond the calendar", 5, ""),
    ],
)
def test_wrong_values_say_where_what_and_how_to_mend_it(text: str, message: str, offset: int, hint: str) -> None:
    expression = parse(text)
    with pytest.raises(ExpressionError) as error:
        evaluate(expression, SCOPE)
    assert message in error.value.message
    assert error.value.offset == offset
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "an empty expression", 0), ("2 ** 3", "`**` is not part", 0), ("lambda: 1", "`lambda` cannot stand here", 0),
        ("[x for x in y]", "`for` cannot stand here", 3), ("f'{x}'", "`f` before a quote", 0), ("rb'x'", "before a quote", 0),
        ("(a := 1)", "`:` cannot stand here", 3), ("1h", "`1` runs into `h`", 0), ("__import__('os')", "there is no function", 0),
        ("params.day.upper()", "only the language's own functions", 0), ("len(*x)", "`*` before a list", 4), ("len(x=1)", "", 0),
        ("a && b", "`&` cannot stand here", 2), ("x is null", "`is` cannot stand here", 2), (r"'\d'", r"`\d` means nothing", 1),
        ("x[1:2]", "`:` cannot stand here", 3), ("1, 2", "square brackets", 0), ("007", "begins with a zero", 0), ("1e999", "too large", 0),
        ("min()", "takes 1 or more values", 0), ("len(1, 2)", "takes 1 value", 0), ("'abc", "`'` cannot stand here", 0), ("a b", "", 0),
        ("x # y", "`#` cannot stand here", 2), ("~x", "", 0), ("x @ y", "", 2), ("a; b", "", 1), ("(1", "", 0), ("1)", "", 1), ("a.", "", 0),
        ("{'a': 1}", "`{` cannot stand here", 0), ("x\\\ny", "", 1), ("await x", "`await` cannot stand here", 0), ("é", "", 0),
        ("'" + "a" * 5000 + "'", "at most 4096", 0), ("(" * 60, "brackets inside each other", 40), ("'a' 'b'", "two texts side by side", 4), ("'''a'''", "two texts", 2), ("...", "", 0),
    ],
)  # fmt: skip
def test_what_is_not_part_of_the_language(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(parse(text), {"x": 1, "y": 1})
    assert message in error.value.message
    if message:
        assert error.value.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "'a' * 999999999", "[0] * 999999999", "'%999999999d' % 1", "9" * 2000 + "*" + "9" * 2000, "*".join(["9" * 40] * 90), "-" * 4000 + "1",
        "+".join(["1"] * 2000), "not " * 1000 + "1", "round(1, -999999999)", "x" + "[0]" * 1300, "a" + ".b" * 2000 + "+1", "1e308 * 10",
    ],
)  # fmt: skip
def test_no_expression_is_a_bomb(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse(text), {"x": [[0]]})


@pytest.mark.parametrize("error", [NotKnownYet("train"), StateError("the disk is full")])
@pytest.mark.parametrize(
    "text", ["steps.train.outputs.model", "steps.train.values.n + 1", "len(steps.train)", "'x' in steps"]
)
def test_what_a_lazy_scope_raises_passes_through(text: str, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        evaluate(parse(text), {"steps": {"train": Lazy(error)} if "train" in text else Lazy(error)})
    assert raised.value is error


def test_what_is_not_needed_is_not_asked_for() -> None:
    assert evaluate(parse("params.n > 5 and steps.train.values.n > 1"), SCOPE) is False


def test_names_are_dotted_paths_without_functions_units_and_constants() -> None:
    assert parse("steps.train.outputs['model']").names == {("steps", "train", "outputs", "model")}
    assert parse("max(params.n, len(params.l[0].x)) + 2*d if null else item").names == {
        ("params", "n"),
        ("params", "l"),
        ("item",),
    }
    assert parse("params[item]").names == {("params",), ("item",)}
    assert parse("true").names == parse("2*GiB").names == frozenset()
    assert references("a ${{ params.x }} ${{ inputs.y + params.x }}") == {("params", "x"), ("inputs", "y")}
    assert references("no braces: params.x") == frozenset()


def test_places_are_offsets_in_the_template() -> None:
    template = "é ${{ params.x }}${{  1 + inputs.y  }}"
    assert places(template) == (
        (("params", "x"), template.index("params")),
        (("inputs", "y"), template.index("inputs")),
    )


def test_parts_keep_texts_and_expressions_in_order() -> None:
    found = parts("a${{ '}}' + \"it's }}\" }}b}}")
    assert [part.text if isinstance(part, Expression) else part for part in found] == ["a", "'}}' + \"it's }}\"", "b}}"]


@pytest.mark.parametrize(
    ("text", "offset"), [("ab ${{ x", 3), ("${{ x' }}", 5), ("ab ${{ 2 ** 3 }}", 7), ("ab ${{   }}", 9)]
)
def test_errors_of_templates_have_offsets_in_them(text: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as error:
        parts(text)
    assert error.value.offset == offset


def test_rendering_writes_texts_as_they_are_and_the_rest_as_json() -> None:
    template = "${{ params.day }}|${{ params.n }}|${{ params.f }}|${{ params.on }}|${{ params.m }}|${{ 4 / 2 }}|${{ partition.end }}"
    assert render(template, SCOPE) == '2013-01-31|3|0.5|true|{"a":null,"b":1}|2.0|2013-11-04T00:00:00-05:00'


@pytest.mark.parametrize(
    ("template", "message"),
    [("x${{ params.l }}", "is a list"), ("x${{ null }}", "is null"), ("${{ 0 + params.q }}", "not exist")],
)
def test_rendering_refuses_lists_and_null(template: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        render(template, SCOPE)
    assert message in error.value.message
    assert error.value.offset >= template.index("${{") + 4


def test_a_template_that_is_one_expression_gives_its_raw_value() -> None:
    assert value_of(" ${{ params.l }}\n", SCOPE) == [1, 2]
    assert value_of("a${{ params.n }}", SCOPE) == "a3"
    assert value_of("plain", SCOPE) == "plain"


def test_conditions_stand_bare_or_in_braces() -> None:
    assert condition("params.n > 2", SCOPE) is True
    assert condition(" ${{ params.n > 5 }} ", SCOPE) is False
    with pytest.raises(ExpressionError, match="text stands beside"):
        condition("${{ params.n }} > 2", SCOPE)
    with pytest.raises(ExpressionError) as error:
        condition("  params.n > params.zz", SCOPE)
    assert error.value.offset == 13


def test_plain_names_import_nothing_heavy() -> None:
    code = (
        "import sys; from mlorch.lang.expressions import render; from mlorch.lang.commands import parse_command, render_command;"
        "c = parse_command('touch ${{ outputs.o }}'); render_command(c, {'outputs': {'o': 'a'}}, 'sh'); render('${{ a.b }}', {'a': {'b': 1}});"
        "print([m for m in ('simpleeval', 'datetime', 'json', 'mlorch.lang.shelltext', 'difflib') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ended.stdout == "[]\n"
