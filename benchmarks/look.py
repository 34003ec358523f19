"""The least that a Python program does to see whether files have changed: it asks for the times of each of them below these folders."""

from __future__ import annotations

import os
import sys

for folder in sys.argv[1:]:
    for above, _, names in os.walk(folder):
        for name in names:
            os.lstat(f"{above}/{name}")
