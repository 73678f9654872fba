"""Exit codes of the commands, for scripts."""

EXIT_TAKEN = 0
EXIT_ERROR = 1
EXIT_QUARANTINED = 3
EXIT_NOT_FETCHED = 4
EXIT_BUSY = 5
