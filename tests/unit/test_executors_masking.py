"""Masking a stream: what is held back, what goes, what stays."""

from __future__ import annotations

import base64

import pytest

from mlorch.executors.supervisor.masking import Masker, forms


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


def test_binary_secrets() -> None:
    assert (
        masked([b"\x00\xff\x80binary"], b"<\x00\xff\x80binary>" + repr(b"\x00\xff\x80binary").encode())
        == b"<***>b'***'"
    )


def test_forms_of_a_plain_secret_are_few() -> None:
    assert len(forms([b"abcdefgh"])) < 12
