"""Run by path, isolated (`python -I -S`): finds its package beside itself, then watches steps until there are none."""

import os
import sys

# Appended, not put first: the standard library must win over whatever lies beside an installed mlorch.
sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..")))

from mlorch.executors.supervisor.loop import main

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
