r"""Where a text names a column that must not leave, as a table, a record or a key would name it. Pure.

A text may be anything: a table of any delimiter, JSON, Python or JavaScript rows, `name=value`, mark-up, a log. So it
is not parsed. The name is searched for, in any case and with any marks in the place of its `_`, and what stands beside
it tells a column (`patient_id,age`, `{patient_id:`, `"patient_id" "age"`) from prose (`the patient_id column was
dropped`).

Texts come piece by piece, and work is linear in their length: a bounded context is looked at for each mention.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_LEVEL4_MENTIONS

EDGE = "\x1f"
"""Put between texts that stand apart (cells, attributes, strings): it parts cells as a comma does."""

_CONTEXT = 4096
_OVERLAP = 4 * _CONTEXT
_BATCH = 4 * _OVERLAP

_GAP = r"(?:[^\w,;|\t\n\x1f<>\"'{}=:\u2028]|_){0,4}"
_SUFFIX = r"(?:[_.](?:[xy]|[0-9]{1,2}))?_{0,4}+(?!\w)"
"""What pandas and R add to a name when they join tables (`_x`, `.y`, `_1`)."""
_PREFIX = re.compile(r"(?:\w{1,40}[.$]){1,4}\Z")
"""`data.patient_id`, `df$patient_id`."""


def words_of(name: str) -> tuple[str, ...]:
    """`patient_id`, `Patient ID` and `patientId` -> `("patient", "id")`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(re.findall(r"[^\W_]+", parted.lower()))


@dataclass(frozen=True, slots=True)
class Mention:
    """A column's name as it was asked for, and the line where a text first names it as one (from 1)."""

    name: str
    line: int


class Mentions:
    """Feed it a text in pieces, then close it; `found` has the first mention of each name as a column.

    `alone`: a name that has a line for itself is a column's too, as in a file that is a table.
    """

    def __init__(self, names: Iterable[str], *, alone: bool = False) -> None:
        self._alone = alone
        self._names = {f"n{number}": name for number, name in enumerate(names)}
        alternatives = (f"(?P<{key}>{_GAP.join(words_of(name))})" for key, name in self._names.items())
        self._pattern = re.compile(f"(?:{'|'.join(alternatives)}){_SUFFIX}") if self._names else re.compile(r"(?!)")
        self._normaliser = _Normaliser()
        self._pieces: list[str] = []
        self._size = 0
        self._buffer = ""
        self._line = 1
        self._is_first = True
        self._examined = 0
        self.found: dict[str, Mention] = {}

    def feed(self, text: str) -> None:
        """Raises Unreadable when the name stands in the text more often than can be looked at."""
        self._pieces.append(text)
        self._size += len(text)
        if self._size > _BATCH or len(self._pieces) > _BATCH:
            self._gather()
            self._search(is_last=False)

    def apart(self, text: str) -> None:
        """Feed a text that stands by itself."""
        self.feed(f"{EDGE}{text}{EDGE}")

    def close(self) -> None:
        self._gather()
        self._buffer += self._normaliser.close()
        self._search(is_last=True)

    def _gather(self) -> None:
        self._buffer += self._normaliser.feed("".join(self._pieces))
        self._pieces.clear()
        self._size = 0

    def _search(self, *, is_last: bool) -> None:
        """Judge the mentions that have their whole context in the buffer, and keep what the next ones need."""
        text = self._buffer
        if len(text) < 2 * _OVERLAP and not is_last:
            return
        start = 0 if self._is_first else _OVERLAP // 2
        end = len(text) if is_last else len(text) - _OVERLAP // 2
        for match in self._pattern.finditer(text):
            if start <= match.start() < end:
                self._examine(match, text)
        self._is_first = False
        self._buffer = text[-_OVERLAP:]
        self._line += text.count("\n", 0, max(0, len(text) - _OVERLAP))

    def _examine(self, match: re.Match[str], text: str) -> None:
        name = self._names[str(match.lastgroup)]
        if name in self.found:
            return
        self._examined += 1
        if self._examined > MAX_LEVEL4_MENTIONS:
            raise Unreadable(f"it names {name} more than {MAX_LEVEL4_MENTIONS:,} times")
        if _is_column(text, match.start(), match.end(), alone=self._alone):
            self.found[name] = Mention(name, self._line + text.count("\n", 0, match.start()))


_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([nrt]))")
_CONTROL = {"n": "\u2028", "r": "\u2028", "t": "\t"}


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _CONTROL[match[3]]


def _lookalikes() -> dict[int, str | None]:
    """Full width forms, Cyrillic and Greek letters that look like Latin ones, and what cannot be seen at all."""
    table: dict[int, str | None] = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= {ord(other): latin for other, latin in zip("аеіорстԁѕуһпαετιορν", "aeiopctdsyhnaetiopv", strict=True)}
    unseen = (0xAD, 0x180E, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    table |= dict.fromkeys((*unseen, *range(0x300, 0x370), *range(0xFE00, 0xFE10)), None)
    return table | {0xA0: " ", 0x2007: " ", 0x202F: " "}


_LOOKALIKES = _lookalikes()


class _Normaliser:
    r"""Lower case; one kind of line end; escapes (`\u0070`, `\x70`, `\n`) as what they stand for; look-alikes as Latin.

    An escaped line break becomes U+2028, which ends a line too but is not counted as one of the file.
    """

    _LONGEST_ESCAPE = 6

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> str:
        text = self._rest + text
        cut = text.rfind("\\", max(0, len(text) - self._LONGEST_ESCAPE))
        if cut < 0 or (cut and text[cut - 1] == "\\"):
            cut = len(text) - text.endswith("\r")
        self._rest = text[cut:]
        return self._normalised(text[:cut])

    def close(self) -> str:
        rest, self._rest = self._rest, ""
        return self._normalised(rest)

    @staticmethod
    def _normalised(text: str) -> str:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", EDGE).lower()
        if "\\" in text:
            text = _ESCAPE.sub(_unescaped, text).lower()
        return text if text.isascii() else text.translate(_LOOKALIKES)


_BREAKS = "\n\u2028\u2029\x85\x0b\x0c"
_LINE_END = re.compile(f"[{_BREAKS}]")
_RULER = re.compile(r"[-=+|: \t]*")
_QUOTES = "\"'`"
_WRAPPING = " *\\" + _QUOTES
_DELIMITERS = (",", ";", "|", "\t", EDGE)
_LEFT_DELIMITERS = (*_DELIMITERS, ">")
_RIGHT_DELIMITERS = (*_DELIMITERS, "<")
_UNIFORM = "^~/:#@&%+!¦§·\x1c\x1d\x1e"
"""What parts cells only where the next line has as many of it."""
_NUMBER = re.compile(r"[ *]*[#(]? ?[0-9]{3,}(?!\w)")
_BETWEEN_QUOTED = re.compile(r"(?:^|(?<=\S))[\"'] {1,20}[\"'](?:$|(?=\S))")
_STRING_BEGINS = re.compile(r"[=:(,+\[{] ?\\*[\"'`]$")
_LONGEST_BETWEEN = 24


def _is_column(text: str, start: int, end: int, *, alone: bool) -> bool:
    """Whether the name at text[start:end] stands as a column's, a key's or a record's."""
    head = _LINE_END.split(text[max(0, start - _CONTEXT) : start])[-1]
    head = head.rstrip("_")
    if prefix := _PREFIX.search(head[-200:]):
        head = head[: len(head) - len(prefix[0])]
    if head[-1:].isalnum():
        return False
    tail, *below = _LINE_END.split(text[end : end + _CONTEXT])
    following = next((line for line in below if not _RULER.fullmatch(line)), "")
    return (
        (alone and not head.strip(_WRAPPING) and not tail.strip(_WRAPPING))
        or _is_cell(head, tail)
        or _is_element(head, tail)
        or _has_value(head, tail, following)
        or _is_spaced_header(head, tail, following)
        or _is_uniform_header(head, tail, following)
    )


def _is_cell(head: str, tail: str) -> bool:
    """A delimiter on one side, and a delimiter, a bracket of a list or the line's end on the other."""
    quoted = _is_quoted(head, tail)
    if quoted and (_BETWEEN_QUOTED.match(tail) or _BETWEEN_QUOTED.search(head[-_LONGEST_BETWEEN:])):
        return True
    before, after = head.rstrip(_WRAPPING)[-2:], tail.lstrip(_WRAPPING)[:1]
    is_opened = before[-1:] in (("[", "{", "(") if quoted else ("[", "{")) and not before[:-1].isalnum()
    is_opened = is_opened or (not quoted and _STRING_BEGINS.search(head[-_LONGEST_BETWEEN:]) is not None)
    is_closed = tail.lstrip("\\")[:1] in ('"', "'") and after in ("]", "}", ")")
    is_parted_left = before[-1:] in _LEFT_DELIMITERS or head.endswith("  ")
    is_parted_right = after in _RIGHT_DELIMITERS or tail.startswith("  ")
    begins = is_parted_left or is_opened or not before
    ends = is_parted_right or is_closed or not after
    return begins and ends and (is_parted_left or is_parted_right or (is_opened and is_closed))


def _is_element(head: str, tail: str) -> bool:
    """`<patient_id>` and `</patient_id>`."""
    return head[-2:].endswith(("<", "</")) and tail[:1] in (">", "/", " ")


def _is_quoted(head: str, tail: str) -> bool:
    return head.rstrip("\\")[-1:] in ('"', "'") and tail.lstrip("\\")[:1] in ('"', "'")


def _has_value(head: str, tail: str, following: str) -> bool:
    """`patient_id=1001`, `patient_id: 1001`, `{patient_id: `, `"patient_id": `, `patient_id 1001`."""
    if _NUMBER.match(tail):
        return True
    before, after = head.rstrip(_WRAPPING), tail.lstrip(_WRAPPING)
    if after[:1] not in (":", "="):
        return False
    if before[-1:] in ("{", ",", "&", "?") or (_is_quoted(head, tail) and not before):
        return True
    value = after.lstrip(":=>~ ")
    if not value:
        value = following.lstrip(" -")
    word = value.split(maxsplit=1)[0] if value.strip() else ""
    return value[:1] in ("[", "{", "(", '"', "'") or any(char.isdigit() for char in word)


def _is_spaced_header(head: str, tail: str, following: str) -> bool:
    """Columns parted by blanks (or one column alone) look like prose; the line below tells, which has values there."""
    if len(head) + len(tail) >= _CONTEXT:
        return False
    words, values = f"{head}\0{tail}".split(), following.split()
    position = next(index for index, word in enumerate(words) if "\0" in word)
    shift = len(values) - len(words)
    if abs(shift) > 1 or words[position].strip(_WRAPPING) != "\0":
        return False
    aligned = (index for index in {position, position + shift} if 0 <= index < len(values))
    return any(any(char.isdigit() for char in values[index]) for index in aligned)


def _is_uniform_header(head: str, tail: str, following: str) -> bool:
    """`patient_id:age:sex` above `1001:34:M`: as many of the mark beside the name as in the line below."""
    marks = {tail.lstrip(" ")[:1], head.rstrip(" ")[-1:]} & set(_UNIFORM)
    line = head + tail
    has_digit = any(char.isdigit() for char in following)
    return has_digit and any(line.count(mark) == following.count(mark) for mark in marks)
