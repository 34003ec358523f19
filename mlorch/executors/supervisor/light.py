"""`signal` and `socket` as the C modules beneath them.

The public ones bring `enum`, `selectors` and `collections`: half of the supervisor's start, and 2 MB below every step's peak.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
else:
    import _signal as signal
    import _socket as socket

__all__ = ["signal", "socket"]
