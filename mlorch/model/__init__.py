"""The words: types that every other room shares. Standard library only."""
