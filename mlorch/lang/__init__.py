"""The small languages inside strings: expressions, commands, durations, globs, partition labels. Pure; imports `model` only."""
