"""However a stream is cut into writes, the same comes out, and no secret in it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlorch.executors.supervisor.masking import Masker

SECRETS = st.lists(
    st.binary(min_size=6, max_size=9).map(lambda raw: bytes(97 + byte % 3 for byte in raw)), min_size=1, max_size=3
)


@given(st.data(), SECRETS)
def test_no_cut_lets_a_secret_through(data: st.DataObject, secrets: list[bytes]) -> None:
    text = st.sampled_from([*secrets, b"a", b"b", b"abc", b"-", b" "])
    stream = b"".join(data.draw(st.lists(text, max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    masker = Masker(secrets)
    edges = [0, *cuts, len(stream)]
    out = b"".join(masker.feed(stream[start:end]) for start, end in pairwise(edges)) + masker.flush()
    whole = Masker(secrets)
    assert out == whole.feed(stream) + whole.flush()
    for secret in secrets:
        assert secret not in out
