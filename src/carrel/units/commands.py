"""Command lines that Linux can start: the kernel's own limits, known before anything is tried. Pure."""

from collections.abc import Sequence

from carrel.units.limits import MAX_ARGUMENT_BYTES, MAX_COMMAND_BYTES

POINTER_BYTES = 8


def fault_of_command(words: Sequence[str]) -> str | None:
    """Say why no Linux machine can start this program with these arguments; None when one can.

    Source: execve(2), "Limits on size of arguments and environment".
    """
    total = 0
    for number, word in enumerate(words):
        name = f"argument {number}" if number else "the program's name"
        try:
            size = len(word.encode(errors="surrogateescape")) + 1
        except UnicodeEncodeError:
            return f"{name} of the command holds a character that has no form in UTF-8"
        if "\0" in word:
            return f"{name} of the command holds a NUL character, which no program can be given"
        if size > MAX_ARGUMENT_BYTES:
            return (
                f"{name} of the command has {size - 1} bytes, and Linux takes {MAX_ARGUMENT_BYTES - 1} at most; "
                "put it into a file of the study that the program reads"
            )
        total += size + POINTER_BYTES
    if total > MAX_COMMAND_BYTES:
        return (
            f"the command has {len(words) - 1} arguments, which take {total} bytes, and Linux takes "
            f"{MAX_COMMAND_BYTES} at most; put them into a file of the study that the program reads"
        )
    return None
