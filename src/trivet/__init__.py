"""Trivet: build, release, run, strictly apart, for apps on your own machines."""

__version__ = "0.1.0"
