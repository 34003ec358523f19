"""mlorch runs feature, training and batch inference pipelines from YAML files."""

__version__ = "0.1.0"
