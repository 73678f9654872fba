"""A project file's text as plain values by the rules of YAML 1.2, and what is wrong with it as `Problem`s.

Source of the resolution rules: YAML 1.2.2, section 10.3 (core schema). `carrel.units.yaml_documents` reads the text,
and follows the merge key `<<`, which studies use although 1.2 dropped it.
"""

from __future__ import annotations

import codecs
import re
from typing import IO, Any

from carrel.project.problems import Problem, YAMLError, printable
from carrel.units.limits import MAX_PROJECT_BYTES, MAX_PROJECT_DEPTH, MAX_PROJECT_EXPANDED
from carrel.units.yaml_documents import STANDARD, Path, YamlDocument, YamlFault

Source = str | bytes | IO[str] | IO[bytes]

_NOTHING = object()

_KINDS: dict[str, Any] = {"null": type(None), "bool": bool, "int": int, "float": (int, float)}

_words: dict[str, Any] = {"": None, "~": None}
for _word, _meaning in {"null": None, "true": True, "false": False}.items():
    _words |= {_word: _meaning, _word.capitalize(): _meaning, _word.upper(): _meaning}
_words |= {spelling: float("nan") for spelling in (".nan", ".NaN", ".NAN")}
for _sign, _infinity in {"": float("inf"), "+": float("inf"), "-": float("-inf")}.items():
    _words |= {_sign + spelling: _infinity for spelling in (".inf", ".Inf", ".INF")}

_FIRST = frozenset("~nNtTfF.+-0123456789")
_decimal = re.compile(r"[-+]?[0-9]+").fullmatch
_octal = re.compile(r"0o[0-7]+").fullmatch
_hexadecimal = re.compile(r"0x[0-9a-fA-F]+").fullmatch
_float = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?").fullmatch


def resolve(text: str) -> Any:
    """Value of a plain (not quoted, not tagged) scalar."""
    if text and text[0] not in _FIRST:
        return text
    value = _words.get(text, _NOTHING)
    return _number(text) if value is _NOTHING else value


def _number(text: str) -> Any:
    if _octal(text) or _hexadecimal(text):
        return int(text, 0)
    if _decimal(text):
        return int(text) if len(text) < 4000 else float(text)  # int() refuses very long digits
    return float(text) if _float(text) else text


def _value(event: Any) -> Any:
    """Value of a scalar: plain, quoted or tagged."""
    text: str = event.value
    if event.implicit[0]:
        return resolve(text)
    if event.tag is None or event.tag in ("!", STANDARD + "str"):
        return text
    value = resolve(text)
    name = event.tag.removeprefix(STANDARD)
    kind = _KINDS.get(name)
    if kind is None or not isinstance(value, kind):
        raise YamlFault(f"could not read {text!r} as {event.tag!r}", event.start_mark, "tag")
    return float(value) if name == "float" else value


class Document:
    """A YAML text as plain values (`value`), and where each of them stands."""

    def __init__(self, text: str, filename: str) -> None:
        """Read `text`; raises YAMLError where it cannot be read. Duplicate keys are kept in `problems`."""
        self.text, self.filename = text, filename
        try:
            check_size(len(text.encode(errors="surrogatepass")))
            self._yaml = YamlDocument(text, _value, max_depth=MAX_PROJECT_DEPTH, max_expanded=MAX_PROJECT_EXPANDED)
        except YamlFault as fault:
            raise YAMLError(self._problem(fault)) from None
        self.value = self._yaml.value

    @classmethod
    def of(cls, source: Source, filename: str) -> Document:
        """Read a text, its UTF-8 bytes, or an open file, of which no more is taken than a document may be long.

        Raises YAMLError, also for bytes that are not UTF-8.
        """
        raw = source if isinstance(source, str | bytes) else source.read(MAX_PROJECT_BYTES + 1)
        if isinstance(raw, str):
            return cls(raw.removeprefix("\ufeff"), filename)
        raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            check_size(len(raw))
            return cls(raw.decode(), filename)
        except YamlFault as fault:
            raise YAMLError(
                Problem(message=fault.message, line=1, column=1, severity="error", filename=filename, rule="yaml")
            ) from None
        except UnicodeDecodeError as error:
            before = raw[: error.start].decode("utf-8", "replace")
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            problem = Problem(
                message="the file is not UTF-8 text",
                line=line,
                column=column,
                severity="error",
                filename=filename,
                rule="yaml",
            )
            raise YAMLError(problem) from None

    @property
    def problems(self) -> list[Problem]:
        return [self._problem(fault) for _, fault in self._yaml.duplicates]

    def locate(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of the value at `path`, or of its key; of the nearest parent where it is missing."""
        return self._yaml.locate(path, key=key)

    def _problem(self, fault: YamlFault) -> Problem:
        return Problem(
            message=printable(fault.message),
            line=fault.line,
            column=fault.column,
            severity="error",
            filename=self.filename,
            rule="yaml",
        )


def check_size(size: int) -> None:
    """Refuse a text of more than the limit (`size` in bytes) before anything is made of it."""
    if size > MAX_PROJECT_BYTES:
        raise YamlFault(f"the file is larger than {MAX_PROJECT_BYTES // 1024} KiB", None)
