from __future__ import annotations

import pytest

from mlorch.lang.globs import base, is_glob, match, match_name


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.py", "a.py"), ("src/**/*.py", "src/a.py"), ("src/**/*.py", "src/a/b/c.py"), ("src/**", "src/a/b"), ("**/x", "x"), ("a?c", "abc"),
        ("[a-c]x", "bx"), ("[!a]x", "bx"), ("[]]x", "]x"), (".*", ".git"), ("src/.hidden/*", "src/.hidden/a"), ("./a/*", "a/b"),
        ("a/*", "./a/b"), ("a[", "a["), ("/abs/*", "/abs/x"), ("a*b*c", "a--b--c"), ("x.y", "x.y"), ("*", "a\nb"), ("a**b", "axxb"), ("**/a/**/b/*.c", "a/x/a/b/b/y.c"), ("*ab*b", "aabb"), ("**/a*/b", "a/a1/b"),
    ],
)  # fmt: skip
def test_what_matches(pattern: str, path: str) -> None:
    assert match(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.py", "a/b.py"), ("*", ".git"), ("**", ".git/config"), ("src/**/*.py", "src/.venv/a.py"), ("src/**", "src"), ("a?c", "a/c"),
        ("[+-9]", "/"), ("?x", ".x"), ("[.]x", ".x"), ("x.y", "xzy"), ("**/x", "ax"), ("/abs/*", "abs/x"), ("[z-a]", "m"),
    ],
)  # fmt: skip
def test_what_does_not_match(pattern: str, path: str) -> None:
    assert not match(pattern, path)


def test_many_stars_are_no_bomb() -> None:
    assert not match("*a" * 30 + "b", "a" * 60)
    assert not match("**/a/" * 15 + "b", "a/" * 200 + "c")
    assert match("**/a/" * 15 + "b", "a/" * 200 + "b")


@pytest.mark.parametrize(
    ("pattern", "folder"), [("a/b/*.py", "a/b"), ("*.py", ""), ("/x/**/y", "/x"), ("a/b.txt", "a"), ("a/*/c/d", "a")]
)
def test_the_search_begins_where_the_wildcards_do(pattern: str, folder: str) -> None:
    assert base(pattern) == folder


def test_names_are_matched_one_by_one() -> None:
    assert is_glob("a[0]")
    assert not is_glob("a/b.c")
    assert match_name("*.csv", "x.csv")
    assert not match_name("*", ".x")
