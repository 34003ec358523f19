"""The loop: takes decisions from `engine`, has them done through ports, records what happened."""
