"""Replaces secrets in a stream of bytes, whatever writes they are split over and however they are commonly encoded."""

from __future__ import annotations

import binascii
import json
import re

MASK = b"***"
_URL_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_SHORTEST = 6
"""A shorter piece of a secret says nothing, and would mask half of a log."""


def _base64(secret: bytes) -> list[bytes]:
    """The characters of its base64 that depend on the secret alone, for each of the three places it may start at."""
    forms = []
    for before in range(3):
        text = binascii.b2a_base64(b"\0" * before + secret, newline=False)
        first = -(-8 * before // 6)
        last = 8 * (before + len(secret)) // 6
        form = text[first:last]
        forms += [form, form.replace(b"+", b"-").replace(b"/", b"_")]
    return forms


def _url(secret: bytes) -> list[bytes]:
    forms = []
    for template, space in ((b"%%%02X", b"%20"), (b"%%%02x", b"%20"), (b"%%%02X", b"+"), (b"%%%02x", b"+")):
        quoted = b"".join(
            bytes((byte,)) if byte in _URL_SAFE else space if byte == 0x20 else template % byte for byte in secret
        )
        # Some quote a slash, some do not (`quote` against `quote_plus`).
        forms += [quoted, quoted.replace(b"%2F", b"/").replace(b"%2f", b"/")]
    return forms


def _escaped(secret: bytes) -> list[bytes]:
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return [repr(secret)[2:-1].encode()]
    plain = json.dumps(text)[1:-1]
    forms = [plain, json.dumps(text, ensure_ascii=False)[1:-1], plain.replace("/", "\\/"), repr(text)[1:-1]]
    return [form.encode() for form in forms]


def forms(secrets: list[bytes]) -> list[bytes]:
    """All byte strings that give one of `secrets` away, longest first: as it is, in base64, hex, URLs, JSON, line by line."""
    found: set[bytes] = set()
    for secret in secrets:
        whole = secret.strip()
        for piece in {secret, whole, *(line.strip() for line in whole.splitlines())}:
            if len(piece) < _SHORTEST and piece != whole:
                continue
            found.update((piece, piece.hex().encode(), piece.hex().upper().encode()))
            found.update(_url(piece))
            found.update(_escaped(piece))
            found.update(form for form in _base64(piece) if len(form) >= _SHORTEST)
    found.discard(b"")
    return sorted(found, key=lambda form: (-len(form), form))


class Masker:
    """Takes a stream piece by piece and gives it back masked; holds back only what may be the beginning of a secret."""

    __slots__ = ("_first", "_forms", "_held", "_longest", "_pattern")

    def __init__(self, secrets: list[bytes]) -> None:
        self._forms = forms(secrets)
        self._longest = max(map(len, self._forms), default=0)
        self._first = frozenset(form[0] for form in self._forms)
        # Longest first: of two forms that begin alike, the whole of the longer one goes.
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms)) or b"(?!)")
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What of the stream so far is certain, masked."""
        buffer = self._held + data
        out = []
        position = 0
        unsure = self._unsure_from(buffer, 0)
        while match := self._pattern.search(buffer, position):
            # A match that begins where a longer form may begin has to wait for more.
            if match.start() >= unsure:
                break
            out += [buffer[position : match.start()], MASK]
            position = match.end()
            if position > unsure:
                unsure = self._unsure_from(buffer, position)
        out.append(buffer[position:unsure])
        self._held = buffer[unsure:]
        return b"".join(out)

    def flush(self) -> bytes:
        """The rest, masked: nothing follows."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MASK, rest)

    def _unsure_from(self, buffer: bytes, position: int) -> int:
        """Where the longest end of `buffer` begins that is the beginning of a form, but not the whole of one."""
        for start in range(max(position, len(buffer) - self._longest + 1), len(buffer)):
            if buffer[start] in self._first:
                end = buffer[start:]
                if any(len(form) > len(end) and form.startswith(end) for form in self._forms):
                    return start
        return len(buffer)
