"""Hold the version, for the package and for what reports it."""

__version__ = "0.1.0"
