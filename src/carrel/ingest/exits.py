"""Exit codes of the commands, for scripts."""

EXIT_TAKEN = 0
EXIT_FOUND = 3
"""It was done, and found something that somebody must look at."""
EXIT_QUARANTINED = EXIT_FOUND
EXIT_NOT_FETCHED = 4
EXIT_BUSY = 5
EXIT_STOPPED = 130
"""Stopped by Ctrl-C, as shells say it."""
