"""One question about very many things, asked in two processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.world import copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = 10_000
"""So many questions (a few system calls each) take longer than a second process does."""


def asked(question: Callable[[int], bool], count: int) -> Iterator[int]:
    """`question(number)` for each number below `count`, one after another. It must only look.

    A copy of this process asks the later ones at the same time, if there can be one; whatever goes wrong there is asked here.
    """
    # Whoever reads the answers does something with them, while the copy goes on asking.
    middle = count * 12 // 25
    copy = copies.begin(lambda file: file.write(bytes(map(question, range(middle, count))))) if count >= MANY else None
    if copy is None:
        yield from map(question, range(count))
        return
    try:
        yield from map(question, range(middle))
        later = copy.told.read()
    finally:
        copy.close()
    yield from later if len(later) == count - middle else map(question, range(middle, count))
