"""`python -m mlorch`: the same as the `mlorch` command."""

from mlorch.cli.main import main

if __name__ == "__main__":
    main()
