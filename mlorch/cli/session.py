"""Where the commands get their session from."""

from __future__ import annotations

from mlorch.session.session import open_session

__all__ = ["open_session"]
