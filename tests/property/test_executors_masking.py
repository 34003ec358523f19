"""However a stream is cut into writes, the same comes out, and no secret in it."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlorch.executors.supervisor.masking import Masker

SECRETS = st.lists(
    st.binary(min_size=6, max_size=9).map(lambda raw: bytes(97 + byte % 3 for byte in raw)), min_size=1, max_size=3
)


@given(st.data(), SECRETS)
def test_no_cut_lets_a_secret_through(data: st.DataObject, secrets: list[bytes]) -> None:
    places = st.lists(st.integers(0, 9), max_size=3)
    broken = st.builds(_wrapped, st.sampled_from(secrets), places, st.sampled_from([b"\n", b"\r\n", b"\n \t"]))
    text = st.one_of(st.sampled_from([*secrets, b"a", b"b", b"abc", b"-", b" ", b"\n", b"\r\n  "]), broken)
    stream = b"".join(data.draw(st.lists(text, max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    masker = Masker(secrets)
    edges = [0, *cuts, len(stream)]
    out = b"".join(masker.feed(stream[start:end]) for start, end in pairwise(edges)) + masker.flush()
    whole = Masker(secrets)
    assert out == whole.feed(stream) + whole.flush()
    for secret in secrets:
        assert secret not in re.sub(rb"[\r\n][\r\n \t]*", b"", out)


def _wrapped(secret: bytes, places: list[int], line_end: bytes) -> bytes:
    """The secret with line ends in it."""
    for place in places:
        secret = secret[:place] + line_end + secret[place:]
    return secret
