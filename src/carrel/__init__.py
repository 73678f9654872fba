"""Carrel: a trusted research environment that runs anywhere."""

__version__ = "0.1.0"
