"""Parse one YAML file with PyYAML's C loader and do nothing with it: `parse.py FILE`."""

from __future__ import annotations

import sys

import yaml

if __name__ == "__main__":
    with open(sys.argv[1], "rb") as spec:
        yaml.load(spec, Loader=yaml.CSafeLoader)
