"""What goes wrong in a local run, apart from the study's own faults."""


class LocalError(Exception):
    """A sentence for the person at the terminal; the command ends with exit code 1 and no traceback."""
