"""Masking a stream: what is held back, what goes, what stays."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.supervisor.masking import Masker, forms

if TYPE_CHECKING:
    from collections.abc import Callable

SPECIAL = "pä's/s w+rd!(1)*~&<\"2>%"


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join(masker.feed(piece) for piece in pieces) + masker.flush()


def test_nothing_to_mask() -> None:
    assert masked([], b"as it is") == b"as it is"


def test_a_secret_in_the_middle_and_at_the_end() -> None:
    assert masked([b"s3cret"], b"a s3cret b s3cret") == b"a *** b ***"


def test_what_cannot_begin_a_secret_is_given_at_once() -> None:
    masker = Masker([b"s3cret"])
    assert masker.feed(b"hello ") == b"hello "
    assert masker.feed(b"s3c") == b""
    assert masker.feed(b"ond") == b"s3cond"
    assert masker.flush() == b""


def test_of_two_secrets_that_begin_alike_the_longer_goes_whole() -> None:
    assert masked([b"abcdef", b"abcdefghij"], b"abcdef", b"ghij.") == b"***."
    assert masked([b"abcdef", b"abcdefghij"], b"abcdef", b"ghi.") == b"***ghi."


def test_a_secret_that_ends_like_another_begins() -> None:
    assert masked([b"xxxabc", b"abcyyy"], b"xxxabc", b"z") == b"***z"
    assert masked([b"xxxabc", b"abcyyy"], b"abc", b"yyy") == b"***"


def test_the_longest_beginning_is_held_back_whichever_form_is_looked_at_first() -> None:
    masker = Masker([b"xxabcdefgh", b"abcdefghij"])
    assert masker.feed(b"-xxabcdefg") == b"-"
    assert masker.feed(b"h") + masker.feed(b"ij") + masker.flush() == b"***ij"


def test_the_lines_of_a_secret_and_the_secret_without_its_last_line_end() -> None:
    key = b"-----BEGIN-----\nMIIEvgIBADANBg\n  kqhkiG9w0BAQEF\n"
    assert masked([key], b"> MIIEvgIBADANBg\r\n>   kqhkiG9w0BAQEF") == b"> ***\r\n>   ***"
    assert masked([b"hunter22\n"], b"[hunter22]") == b"[***]"


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy", b"xyz"])
def test_base64_wherever_it_starts(before: bytes, after: bytes) -> None:
    secret = b"\xff\xfe correct horse"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + secret + after)
        out = masked([secret], text)
        assert b"***" in out
        assert len(out) <= len(text) - 18 + 3, "but for the characters shared with neighbours, all of it"


@pytest.mark.parametrize("columns", [4, 7, 64, 76])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\n    "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.b16encode, bytes])
def test_a_long_secret_wrapped_over_lines(columns: int, line_end: bytes, encode: Callable[[bytes], bytes]) -> None:
    secret = b"a_long_token_" + bytes(33 + i % 90 for i in range(150))
    for before in (b"", b"x", b"xy"):
        text = encode(before + secret + b"z")
        wrapped = line_end.join(text[i : i + columns] for i in range(0, len(text), columns))
        out = masked([secret], b"<", wrapped, b">\n")
        # Where the first line ends early, its few characters are out already; so are those shared with neighbours.
        assert out.endswith(b">\n")
        assert out.count(b"***") == 1
        assert len(re.sub(rb"[\s<*>]", b"", out)) <= 12
        for size in (1, 3, columns, columns + len(line_end)):
            pieces = (wrapped[i : i + size] for i in range(0, len(wrapped), size))
            assert masked([secret], b"<", *pieces, b">\n") == out


def test_no_line_waits_for_the_next_one() -> None:
    masker = Masker([b"s3cret-token"])
    assert masker.feed(b"progress\n") == b"progress\n", "the s at its end may begin the secret"
    assert masker.feed(b"  3cret-token, 3cret-token\n") == b"  ***, 3cret-token\n"
    assert masker.feed(b"s3cre\n") == b"s3cre\n"
    assert masker.feed(b"\n") == b"\n"
    assert masker.feed(b"t-token!\n") == b"***!\n"
    assert masker.feed(b"s3cret\n") == b""
    assert masker.feed(b"ive\n") == b"s3cret\nive\n"


@pytest.mark.parametrize(
    "text",
    [
        urllib.parse.quote(SPECIAL),
        urllib.parse.quote(SPECIAL, safe=""),
        urllib.parse.quote_plus(SPECIAL),
        urllib.parse.quote(SPECIAL, safe="!'()*"),
        urllib.parse.quote_plus(SPECIAL, safe="*").replace("~", "%7E"),
        "".join(f"%{byte:02X}" for byte in SPECIAL.encode()),
        SPECIAL.encode().hex(),
        html.escape(SPECIAL),
        shlex.quote(SPECIAL),
        json.dumps(SPECIAL),
        repr(SPECIAL),
    ],
)
def test_quoted_and_escaped(text: str) -> None:
    out = masked([SPECIAL.encode()], b"[", text.encode(), b"]").decode()
    assert out.replace("'", "").replace('"', "") == "[***]"


def test_binary_secrets() -> None:
    assert (
        masked([b"\x00\xff\x80binary"], b"<\x00\xff\x80binary>" + repr(b"\x00\xff\x80binary").encode())
        == b"<***>b'***'"
    )


def test_forms_of_a_plain_secret_are_few() -> None:
    assert len(forms([b"abcdefgh"])) < 12
