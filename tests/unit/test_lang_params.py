from __future__ import annotations

import pytest

from mlorch.lang.params import canonical, check_value, coerce_text, schema_problem
from mlorch.model.spec import JsonValue, Param


def param(schema: str = "", default: JsonValue = None) -> Param:
    return Param("x", schema, default, has_default=default is not None)


@pytest.mark.parametrize(
    ("given", "text", "value"),
    [
        (param(default="a"), "007", "007"), (param(default="a"), "", ""), (param(default=1), "42", 42), (param(default=1), "1e3", 1000),
        (param(default=0.5), "2", 2), (param(default=True), "false", False), (param(default=[1]), "[1, 2]", [1, 2]),
        (param(), "true", True), (param(), "1.5", 1.5), (param(), "x y", "x y"), (param(), '{"a": 1}', {"a": 1}),
        (param('{"type": "string"}'), "12", "12"), (param('{"type": ["integer", "null"]}'), "null", None),
        (param('{"enum": ["a", 1]}'), "1", 1), (param('{"enum": ["1", 1]}'), "1", "1"), (param('{"type":"integer","minimum":1}'), "1", 1),
        (param('{"type": "array", "items": {"type": "integer"}}'), "[1]", [1]), (param('{"type":"string","pattern":"^a+$"}'), "aa", "aa"),
    ],
)  # fmt: skip
def test_text_becomes_the_type_that_is_allowed(given: Param, text: str, value: JsonValue) -> None:
    got = coerce_text(given, text)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "text", "says"),
    [
        (param(default=1), "abc", "parameter `x`: expected integer, got `abc`"),
        (param(default=1), "1.5", "expected integer, got `1.5`"),
        (param(default=1), "9" * 5000, "expected integer"),
        (param(default=0.5), "1e999", "expected number"),
        (param(default=0.5), "NaN", "expected number"),
        (param(default=True), "yes", "expected true or false, got `yes`"),
        (param('{"type": "integer", "minimum": 2}'), "1", "expected at least 2, got 1"),
        (param('{"type": "number", "exclusiveMaximum": 2}'), "2", "expected less than 2"),
        (param('{"enum": ["a", "b"]}'), "c", 'expected one of "a", "b", got `c`'),
        (param('{"type": "string", "maxLength": 2}'), "abc", "at most 2 characters, got 3"),
        (param('{"type": "array", "items": {"type": "integer"}}'), '["a"]', "[0]: 'a' is not of type 'integer'"),
        (param('{"type": "array"}'), "[1", "expected list (as JSON)"),
        (param('{"type": "string", "pattern": "^a$"}'), "b", "does not match"),
        (param('{"$ref": "https://example.org/x.json"}'), "b", "which is not part of it"),
    ],
)
def test_what_does_not_fit_says_what_was_expected(given: Param, text: str, says: str) -> None:
    with pytest.raises(ValueError, match="parameter `x`") as error:
        coerce_text(given, text)
    assert says in str(error.value)


def test_a_value_is_held_against_the_type_of_the_default() -> None:
    check_value(param(default=0.5), 3)
    check_value(param('{"type": "integer"}'), 3.0)
    with pytest.raises(ValueError, match="expected integer, got boolean `true`"):
        check_value(param(default=1), value=True)


def test_a_true_is_not_the_choice_one() -> None:
    with pytest.raises(ValueError, match="expected"):
        check_value(param('{"type": ["integer", "boolean"], "enum": [1]}'), value=True)


def test_a_schema_that_is_none_and_a_default_that_does_not_fit_are_told() -> None:
    assert schema_problem(param('{"type": "integer", "minimum": 1}', 3)) == ""
    assert "its default does not fit: expected at least 1" in schema_problem(
        param('{"type": "integer", "minimum": 1}', 0)
    )
    assert "type" in schema_problem(param('{"type": "whole"}'))
    assert "minimum" in schema_problem(param('{"minimum": "1"}'))


def test_equal_values_have_one_text() -> None:
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))
