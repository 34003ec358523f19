"""Decides, and touches nothing: graph, fingerprints, verdicts, what runs next, what a journal adds up to."""
