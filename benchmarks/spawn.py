"""What spawn.c does, where there is no C compiler: `spawn.py COUNT COMMAND [ARGUMENT...]`."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Start the command so many times, two at once; returns the exit code."""
    left, command = int(sys.argv[1]), sys.argv[2:]
    running = 0
    while left or running:
        while left and running < 2:
            os.posix_spawnp(command[0], command, os.environ)
            left -= 1
            running += 1
        if os.wait()[1]:
            return 1
        running -= 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
