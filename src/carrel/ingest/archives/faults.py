"""Raising what `carrel.ingest.values.Fault` says."""

from carrel.ingest.values import Fault


class Rejected(Exception):
    """Something was not taken; `fault` says why, and never quotes the data."""

    def __init__(self, stage: str, keyword: str, message: str, pointer: str = ""):
        super().__init__(message)
        self.fault = Fault(stage, keyword, message, pointer)


class ArchiveRejected(Rejected):
    """Nothing of the archive can be taken."""


class FileRejected(Rejected):
    """One file of the archive cannot be taken; the others can."""
