"""What an exit code says, in words and with a next step: of signals, and of what could not be started. Pure.

The words are a fixed list, so that they may leave the secure side with the code itself.
"""

from collections.abc import Mapping
from types import MappingProxyType

NOT_EXECUTABLE, NOT_FOUND = 126, 127
FIRST_SIGNAL_CODE = 128

CODES: Mapping[int, str] = MappingProxyType(
    {
        NOT_EXECUTABLE: "a program could not be run: it is not executable, or no program at all. The job log names it; "
        "put the program that runs a script before it (python, Rscript, sh), or commit it as executable",
        NOT_FOUND: "a program was not found, or could not be loaded: the command's own, one that a script calls, or "
        "the one that a script's first line names. The job log names it",
    }
)
"""Exit codes that shells and container engines give when a program cannot be started."""

SIGNALS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        1: ("hang-up", ""),
        2: ("interrupt", ""),
        3: ("quit", ""),
        4: ("illegal instruction", "A compiled library was made for another kind of processor"),
        5: ("trap", ""),
        6: ("aborted", "The program gave itself up; the end of the job log says why"),
        7: ("bus error", "A file that was mapped into memory was cut short, or /dev/shm is full"),
        8: ("arithmetic error", "A compiled library divided a whole number by zero, or the like"),
        9: ("killed", ""),
        10: ("user signal 1", ""),
        11: ("segmentation fault", "A compiled library failed; see which step the job log ends with"),
        12: ("user signal 2", ""),
        13: ("broken pipe", "It wrote to a program that had ended"),
        14: ("alarm", ""),
        15: ("terminated", ""),
        24: ("limit of processor time", ""),
        25: ("limit of file size", "A file grew larger than the backend allows"),
        26: ("virtual timer", ""),
        27: ("profiling timer", ""),
        29: ("input or output is possible", ""),
        30: ("power failure", ""),
        31: ("bad system call", "It asked the system for something that jobs may not do"),
    }
)
"""Number on Linux -> its name and, where there is one, a next step."""


def words_for(exit_code: int | None) -> str | None:
    """What the code says beside being no success; None when it is the program's own number and says nothing more."""
    if exit_code is None:
        return None
    if exit_code in CODES:
        return CODES[exit_code]
    if exit_code - FIRST_SIGNAL_CODE not in SIGNALS:
        return None
    number = exit_code - FIRST_SIGNAL_CODE
    name, step = SIGNALS[number]
    return f"killed by signal {number} ({name})" + (f". {step}" if step else "")
