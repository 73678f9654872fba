"""A log with a limit: its head and its tail, with a line between that says how much is missing."""

from collections import deque
from collections.abc import Callable, Iterable


class HeadTail:
    """Takes a log in pieces; writes the first half of `max_bytes` at once and the last half at `finish`.

    Cuts at line ends wherever a line end is near. Holds no more than the tail in memory.
    """

    def __init__(self, write: Callable[[bytes], object], max_bytes: int | None) -> None:
        self._write = write
        self._head_left = None if max_bytes is None else max_bytes // 2
        self._tail_size = 0 if max_bytes is None else max_bytes - max_bytes // 2
        self._tail: deque[bytes] = deque()
        self._tail_length = 0
        self._dropped = 0
        self._head_ends_line = True

    def feed(self, data: bytes) -> None:
        """Take the next piece of the log."""
        if self._head_left is None:
            self._write(data)
            return
        head, rest = data[: self._head_left], data[self._head_left :]
        if head:
            self._write(head)
            self._head_left -= len(head)
            self._head_ends_line = head.endswith(b"\n")
        if rest:
            self._tail.append(rest)
            self._tail_length += len(rest)
            while self._tail_length - len(self._tail[0]) >= self._tail_size:
                oldest = len(self._tail.popleft())
                self._tail_length -= oldest
                self._dropped += oldest

    def finish(self, dropped_before: int = 0) -> int:
        """Write the tail; returns the number of bytes left out, `dropped_before` (by whoever feeds this) with them."""
        tail = b"".join(self._tail)
        end = tail[max(0, len(tail) - self._tail_size) :]
        cut = len(tail) - len(end)
        if cut or self._dropped:
            line_end = end.find(b"\n") + 1
            cut, end = cut + line_end, end[line_end:]
        missing = self._dropped + cut
        if missing:
            self._write(marker(missing, self._head_ends_line))
        self._write(end)
        return missing + dropped_before


def marker(missing: int, at_line_start: bool = True) -> bytes:
    """The line that stands for `missing` bytes."""
    text = f"[... {missing} bytes of the log are left out here: it was longer than its limit ...]\n"
    return (b"" if at_line_start else b"\n") + text.encode()


def copy_log(chunks: Iterable[bytes], write: Callable[[bytes], object], max_bytes: int | None) -> int:
    """Feed `chunks` through a limit into `write`; returns the bytes left out."""
    log = HeadTail(write, max_bytes)
    for chunk in chunks:
        log.feed(chunk)
    return log.finish()
