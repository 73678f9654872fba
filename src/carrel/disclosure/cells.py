"""What one cell of a table says: nothing, a mark in the place of a number, a count, another number, or text. Pure.

Sources of the marks: local-run.md section 5 (`[REDACTED]`) and review-and-release.md section 2.5; the Government
Analysis Function's "Symbols in tables" (`[c]`, `[x]`, `[low]`, ...), Eurostat's (`:`, `..`), and what R, Stata and
pandas write.
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum, auto

REDACTED_MARKS = frozenset(
    [
        "redacted",
        "suppressed",
        "withheld",
        "confidential",
        "hidden",
        "masked",
        "low",
        "na",
        "n/a",
        "nan",
        "null",
        "none",
        "nil",
        "missing",
        "unknown",
        "not_available",
        "-",
        "--",
        "–",
        "—",
        "*",
        "**",
        "***",
        "x",
        "c",
        "z",
        "u",
        "s",
        ".",
        "..",
        "...",
        ":",
        "~",
        "#",
        "##",
        "?",
        "<na>",
        "<redacted>",
        "not_applicable",
    ]
)
"""In lower case, without square or round brackets, blanks as `_`."""
_BELOW = re.compile(
    r"(?:<|≤|<=|less than|fewer than|up to|under) ?=? ?[0-9]{1,3}|[0-9] ?(?:-|–|to) ?[0-9]", re.IGNORECASE
)
"""`<8`, `1-7`: a small count told as a range."""
_DIGITS = r"(?:[0-9]{1,3}(?:[,  \u2009\u202f'’][0-9]{3})+|[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]+)"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?P<whole>{_DIGITS})?(?P<part>\.[0-9]*)?(?:[eE](?P<exponent>[+-]?[0-9]{{1,3}}))?"
)
_SHARE = r"\(? ?[<>≤≥~]? ?[0-9.,]+ ?%? ?\)?"
_PEOPLE = "(?:people|persons?|patients?|participants?|cases?|women|woman|men|man|events?|deaths?)"
_COUNT_WITH_SHARE = re.compile(
    rf"(?:[nN] ?= ?)?(?P<count>{_DIGITS}) ?(?:\({_SHARE}\)|\[{_SHARE}\]|/ ?{_DIGITS}(?: \(.{{0,20}}\))?"
    rf"|(?:out )?of {_DIGITS}|{_PEOPLE})"
    rf"|[0-9.]+ ?% ?\(?(?:[nN] ?= ?)?(?P<last>{_DIGITS})\)?|[nN] ?= ?(?P<named>{_DIGITS})"
)
_FOOTNOTE = re.compile(r"(?<=[0-9%)]) ?(?:\*{1,3}|[†‡§¶¹²³⁴⁵⁶⁷⁸⁹^]+|\[[^\[\]]{1,12}\]|\([a-z]\)|[a-z])$", re.IGNORECASE)
_GROUPED_BY_A_POINT = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
"""`1.234`, which is 1234 where a comma parts the fraction."""
_PLAIN_FRACTION = re.compile(r"-?[0-9]{1,15}\.[0-9]{0,20}[1-9]")
"""What most cells of an analysis are, told at once."""
_FORMULA = re.compile(r'="+(?P<inner>[^"]*)"+')
"""`="3"`: how numbers are kept as they are from spreadsheets."""
_EMPHASIS = re.compile(r"(?P<mark>[*_`~$]{1,3})(?P<inner>[^*_`~$]*[0-9][^*_`~$]*)(?P=mark)")
"""`**3**`, `_3_`, `$3$`: of Markdown and LaTeX."""
_MARKED_UP = re.compile(
    r"<(?P<tag>[a-z]{1,10})>(?P<inner>[^<>]*)</(?P=tag)>|\\[a-z]{1,10}\{(?P<latex>[^{}]*)\}", re.IGNORECASE
)
"""`<b>3</b>`, `\\textbf{3}`."""
_LONGEST = 60
"""A number with its share and footnote is no longer; what is longer is text (but for digits alone)."""
_MOST_DIGITS = 4000


class CellKind(IntEnum):
    EMPTY = auto()
    MARK = auto()
    """Redacted, suppressed, not available."""
    COUNT = auto()
    """A whole number that is not negative."""
    NUMBER = auto()
    """Any other number, a percentage."""
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """`count` has a meaning for COUNT only."""

    kind: CellKind
    count: int = 0


_FRACTION = Cell(CellKind.NUMBER)


def read_cell(text: str) -> Cell:
    """Read a cell as a person would: `1,234`, `3 (12%)`, `n=3`, `3e0`, `12*` and `15.0` are counts, `[c]` is a mark.

    Digits of any script are digits; what marks them up (`**3**`, `="3"`) is left out.
    """
    if not (text.isdigit() and text.isascii()):
        if _PLAIN_FRACTION.fullmatch(text):
            return _FRACTION
        text = _bare(text)
    if not text:
        return Cell(CellKind.EMPTY)
    if text.isascii() and text.isdigit():
        return Cell(CellKind.COUNT, int(text)) if len(text) <= _MOST_DIGITS else Cell(CellKind.TEXT)
    if len(text) > _LONGEST:
        return Cell(CellKind.TEXT)
    if is_mark(text):
        return Cell(CellKind.MARK)
    return _number(_FOOTNOTE.sub("", text)) or Cell(CellKind.TEXT)


def number_of(text: str) -> float | None:
    """The number that a cell says, with or without its sign, its fraction and a `%` behind it; None for other cells."""
    text = _bare(text).removesuffix("%").strip()
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    try:
        number = float(re.sub(r"[,\s'’]", "", text))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def may_be_grouped(text: str) -> bool:
    """Whether a number reads as a fraction here, and as a whole number in countries where a point parts thousands."""
    return _GROUPED_BY_A_POINT.fullmatch(_bare(text)) is not None


def _bare(text: str) -> str:
    text = text.strip()
    if len(text) <= _LONGEST:
        if not text.isascii():
            text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
        if marked := _FORMULA.fullmatch(text) or _EMPHASIS.fullmatch(text):
            text = marked["inner"]
        elif marked := _MARKED_UP.fullmatch(text):
            text = marked["inner"] or marked["latex"] or ""
    return text.strip().strip("\"'").strip()


def is_mark(text: str) -> bool:
    """Whether a cell says that a number is not shown."""
    bare = text.strip().strip("[](){}").strip().lower().replace(" ", "_")
    return bare in REDACTED_MARKS or _BELOW.fullmatch(text.strip().strip("[]()")) is not None


def _number(text: str) -> Cell | None:
    text = text.strip()
    if text.endswith("%"):
        return Cell(CellKind.NUMBER) if _NUMBER.fullmatch(text[:-1].strip()) else None
    if shared := _COUNT_WITH_SHARE.fullmatch(text):
        count = shared["count"] or shared["last"] or shared["named"]
        return Cell(CellKind.COUNT, int(re.sub(r"[^0-9]", "", count)))
    number = _NUMBER.fullmatch(text)
    if number is None or not (number["whole"] or (number["part"] or "").strip(".")):
        return None
    return _of_parts(number)


def _of_parts(number: re.Match[str]) -> Cell:
    """A number with a fraction is whole where the exponent makes it so: `1.5e1` is 15."""
    fraction = (number["part"] or ".")[1:].rstrip("0")
    exponent = int(number["exponent"] or 0)
    digits = re.sub(r"[^0-9]", "", number["whole"] or "0")
    if number["sign"] == "-" and (digits + fraction).strip("0"):
        return Cell(CellKind.NUMBER)
    shifted = exponent - len(fraction)
    if shifted >= 0:
        return Cell(CellKind.COUNT, int(digits + fraction) * 10**shifted)
    whole, rest = divmod(int(digits + fraction), 10**-shifted)
    return Cell(CellKind.NUMBER) if rest else Cell(CellKind.COUNT, whole)
