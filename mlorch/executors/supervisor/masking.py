"""Replaces secrets in a stream of bytes, whatever writes they are split over and however they are commonly encoded."""

from __future__ import annotations

import binascii
import json
import re
from bisect import bisect_right
from heapq import heapify, heappop, heapreplace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = b"***"
_URL_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_BREAK = re.compile(rb"[\r\n][\r\n \t]*")
_BLANKS = b"\r\n \t"
_SHORTEST = 6
"""A shorter piece of a secret says nothing, and would mask half of a log."""


def _base64(secret: bytes) -> list[bytes]:
    """The characters of its base64 that depend on the secret alone, for each of the three places it may start at.

    Where nothing follows, the last one as well.
    """
    forms = []
    for before in range(3):
        text = binascii.b2a_base64(b"\0" * before + secret, newline=False)
        first = -(-8 * before // 6)
        last = 8 * (before + len(secret)) // 6
        for form in (text[first:last], text[first:].rstrip(b"="), text[first:]):
            forms += [form, form.replace(b"+", b"-").replace(b"/", b"_")]
    return forms


def _url(secret: bytes) -> list[bytes]:
    """As most tools quote (RFC 3986), as JavaScript does, as forms and Java do, and with every byte quoted."""
    forms = []
    for safe in (
        _URL_SAFE,
        _URL_SAFE | frozenset(b"!'()*"),
        (_URL_SAFE | frozenset(b"*")) - frozenset(b"~"),
        frozenset(),
    ):
        for template, space in ((b"%%%02X", b"%20"), (b"%%%02x", b"%20"), (b"%%%02X", b"+"), (b"%%%02x", b"+")):
            quoted = b"".join(
                bytes((byte,)) if byte in safe else space if byte == 0x20 and safe else template % byte
                for byte in secret
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
    forms += [text.replace("'", quote) for quote in ("'\\''", "'\"'\"'")]  # in the quotes of a shell
    marked = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    forms += [
        marked,
        marked.replace('"', "&quot;").replace("'", "&#x27;"),
        marked.replace('"', "&#34;").replace("'", "&#39;"),
    ]
    return [form.encode() for form in forms]


def forms(secrets: list[bytes]) -> list[bytes]:
    """All byte strings that give one of `secrets` away, longest first: as it is, in base64, hex, URLs, JSON, line by line.

    Without line ends, and what blanks follow them: they are looked for in a text that has none either.
    """
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
    found = {_BREAK.sub(b"", form) for form in found}
    found.discard(b"")
    return sorted(found, key=lambda form: (-len(form), form))


class Masker:
    """Takes a stream piece by piece and gives it back masked; holds back only what may be the beginning of a secret.

    A form is found however it is broken into lines: tools wrap base64 at 64 or 76 characters. What says nothing yet of it where
    a line ends is given out, so that no line waits for the next one.
    """

    __slots__ = ("_begins", "_broken", "_forms", "_given", "_heads", "_held")

    def __init__(self, secrets: list[bytes]) -> None:
        self._forms = forms(secrets)
        # What a form may begin with: up to a few characters, by their number; and forms by their first few characters.
        self._begins = [frozenset(form[:n] for form in self._forms if len(form) > n) for n in range(_SHORTEST)]
        self._heads: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            self._heads.setdefault(form[:_SHORTEST], []).append(form)
        self._held = b""
        # What stands before that and was given out already, and whether a line ends between the two.
        self._given = b""
        self._broken = False

    def feed(self, data: bytes) -> bytes:
        """What of the stream so far is certain, masked."""
        return self._masked(self._held + data, last=False)

    def flush(self) -> bytes:
        """The rest, masked: nothing follows."""
        return self._masked(self._held, last=True)

    def _masked(self, buffer: bytes, *, last: bool) -> bytes:
        lines = _Lines(self._given, buffer, broken=self._broken)
        text = lines.text
        out = []
        position = cursor = 0
        unsure = len(text) if last else self._unsure_from(text, 0)
        for start, end in self._matches(text):
            # A match that begins where a longer form may begin has to wait for more.
            if start >= unsure:
                break
            out += [buffer[cursor : lines.first(start, end)], MASK]
            position = end
            cursor = lines.place(position - 1) + 1
            if position > unsure:
                unsure = self._unsure_from(text, position)
        rest = len(buffer) if unsure == len(text) else lines.place(unsure)
        if lines.ended and len(text) - unsure < _SHORTEST:
            rest = len(buffer)
        out.append(buffer[cursor:rest])
        self._held = buffer[rest:]
        self._given = text[unsure : None if rest == len(buffer) else max(unsure, len(self._given))]
        if rest:
            self._broken = rest == len(buffer) and lines.ended
        return b"".join(out)

    def _matches(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where forms stand, first to last; of two that begin alike the longer one, and none within another.

        Each form is looked for by itself: a pattern of them all would try them one by one at every byte.
        """
        hits = [(at, -len(form), form) for form in self._forms if (at := text.find(form)) >= 0]
        heapify(hits)
        position = 0
        while hits:
            start, _, form = hits[0]
            if start >= position:
                position = start + len(form)
                yield start, position
            following = text.find(form, max(position, start + 1))
            if following >= 0:
                heapreplace(hits, (following, -len(form), form))
            else:
                heappop(hits)

    def _unsure_from(self, text: bytes, position: int) -> int:
        """Where the longest end of `text` begins that is the beginning of a form, but not the whole of one."""
        first = len(text)
        for head, forms in self._heads.items():
            start = text.find(head, max(position, len(text) - len(forms[0]) + 1))
            while 0 <= start < first:
                end = text[start:]
                if any(len(form) > len(end) and form.startswith(end) for form in forms):
                    first = start
                    break
                start = text.find(head, start + 1)
        if first == len(text):
            for length in range(min(_SHORTEST - 1, len(text) - position), 0, -1):
                if text[-length:] in self._begins[length]:
                    return len(text) - length
        return first


class _Lines:
    """Bytes without their line ends (and what blanks follow those), and where each of what is left stood.

    `given` stands before `buffer`, and was given out before; `broken`: a line ended between the two. `ended`: the last one has.
    """

    __slots__ = ("_given", "_pieces", "ended", "text")

    def __init__(self, given: bytes, buffer: bytes, *, broken: bool) -> None:
        self._given = len(given)
        # (offset in the text, offset in the buffer) of each piece between two line ends.
        self._pieces: list[tuple[int, int]] = []
        text = [given]
        length = len(given)
        start = len(buffer) - len(buffer.lstrip(_BLANKS)) if broken else 0
        self.ended = broken and start == len(buffer)
        while start < len(buffer):
            found = _BREAK.search(buffer, start)
            end = found.start() if found else len(buffer)
            if end > start:
                self._pieces.append((length, start))
                text.append(buffer[start:end])
                length += end - start
            start = found.end() if found else len(buffer)
            self.ended = found is not None
        self.text = b"".join(text)

    def place(self, position: int) -> int:
        """Where in the buffer a character of the text stands; 0 for what was given out before."""
        if position < self._given:
            return 0
        at, start = self._pieces[self._piece(position)]
        return start + position - at

    def first(self, start: int, end: int) -> int:
        """Where to begin with the mask of what stands from `start` to `end`: behind a line's end that comes too early to say much."""
        at, place = self._pieces[self._piece(min(end, start + _SHORTEST) - 1)]
        return place if at > start else self.place(start)

    def _piece(self, position: int) -> int:
        return bisect_right(self._pieces, position, key=lambda piece: piece[0]) - 1
