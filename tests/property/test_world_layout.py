from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlorch.world.layout import decode_name, encode_name

keys = st.text(max_size=40) | st.text(alphabet="._%~aA/", max_size=6)


@given(keys, keys)
def test_file_names_of_keys_are_safe_and_differ_where_keys_differ(one: str, other: str) -> None:
    name = encode_name(one)
    assert decode_name(name) == (None if "~" in name else one), "only a shortened name cannot be decoded"
    assert name not in ("", ".", "..") and "/" not in name and "\0" not in name and not name.startswith(".")
    assert (name == encode_name(other)) == (one == other)
