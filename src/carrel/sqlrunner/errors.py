"""What can go wrong, each with the exit code that the controller turns into words (contract: database actions).

`str(error)` goes to the job's log, which people read at level 4: it never holds a value from a row, a password or a
host. `detail` may hold anything the database said, and goes only to the file named by `--log-file`.
"""


class SqlrunnerError(Exception):
    """One clear sentence for the person, and what only the log file may say."""

    exit_code = 1

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class StudyError(SqlrunnerError):
    """The study is at fault: running it again as it is changes nothing."""


class InstallationFault(SqlrunnerError):
    """The installation is at fault: the study may be right."""


class UsageError(StudyError):
    """The command line asks for something that there is not."""

    exit_code = 2


class QueryError(StudyError):
    """The SQL file cannot be read, or the database cannot make sense of it."""

    exit_code = 10


class TooComplex(StudyError):
    """The query wants more memory or depth than it may have."""

    exit_code = 6


class UnfitValue(StudyError):
    """A value in a row broke the query (a division by zero, a text that is no number) or does not fit the file."""

    exit_code = 1


class BadDataFile(StudyError):
    """The dummy data file is missing, unreadable, or has other columns than the query."""

    exit_code = 11


class NotPermitted(StudyError):
    """The query asks for what studies may not have: other files, tables without permission, writing."""

    exit_code = 12


class Transient(InstallationFault):
    """The database did not answer, went away or was busy: it is worth another try."""

    exit_code = 3


class DatabaseFault(InstallationFault):
    """Something is wrong that a second try will not mend: wrong address, no log-in, a broken file, a full disk."""

    exit_code = 5
