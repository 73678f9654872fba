"""HTML and SVG in pieces: one pass over the characters, whatever they are, and no tree. Pure.

It tells texts from tags and does not judge: mark-up that is wrong, cut or nested without end is read as far as it goes.
"""

import re
from html import unescape
from typing import Protocol

from carrel.disclosure.mentions import EDGE
from carrel.disclosure.texts import PieceReader, Unreadable
from carrel.units.limits import MAX_LEVEL4_PARTS

_INSTRUCTION = re.compile(r"<\?[^\s?>]{0,64}+")
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:_-]{0,40})")
_LONGEST_TAG = 64
_TAG_STOP = re.compile(r"[\"'>]")
_LONGEST_ENTITY = 40
_RAW = frozenset({"script", "style"})


class MarkupSink(Protocol):
    """What a page's parts go to; each text may come in several pieces."""

    def text(self, piece: str) -> None:
        """Text between tags, with entities as what they stand for."""

    def aside(self, piece: str) -> None:
        """What is not shown: attributes, comments, scripts, styles, declarations."""

    def boundary(self) -> None:
        """The end of something that stands aside."""

    def tag(self, name: str, *, is_end: bool) -> None:
        """A whole tag, its name in lower case."""


class Markup(PieceReader):
    """Feed it a page in pieces, then close it. Raises Unreadable for more than MAX_LEVEL4_PARTS parts."""

    def __init__(self, sink: MarkupSink) -> None:
        super().__init__(self._text)
        self._sink = sink
        self._tag_name = ""
        self._is_end = False
        self._marker = ""
        self._parts = 0

    def _part(self) -> None:
        self._parts += 1
        if self._parts > MAX_LEVEL4_PARTS:
            raise Unreadable(f"it has more than {MAX_LEVEL4_PARTS:,} elements")

    def _text(self, start: int) -> int:
        stop = self._buffer.find("<", start)
        if stop == start:
            return self._opening(start)
        end = self._before_entity(start) if stop < 0 else stop
        if end > start:
            self._sink.text(unescape(self._buffer[start:end]))
        return end

    def _before_entity(self, start: int) -> int:
        """The end of the buffer, or where an entity begins that may go on after it."""
        end = len(self._buffer)
        entity = self._buffer.rfind("&", max(start, end - _LONGEST_ENTITY))
        return end if self._is_last or entity < 0 or ";" in self._buffer[entity:] else entity

    def _opening(self, start: int) -> int:
        if len(self._buffer) - start < _LONGEST_TAG and not self._is_last:
            return start
        self._part()
        for opening, closing in (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!", ">"), ("<?", ">")):
            if self._buffer.startswith(opening, start):
                self._sink.boundary()
                self._marker = closing
                self._read = self._aside
                # What follows an instruction's name stands at the head of its line, as any text does.
                instruction = _INSTRUCTION.match(self._buffer, start)
                return instruction.end() if instruction else start + len(opening)
        tag = _TAG.match(self._buffer, start)
        if tag is None:
            self._sink.text("<")
            return start + 1
        self._tag_name = tag[1].lower()
        self._is_end = tag[0].startswith("</")
        self._read = self._attributes
        return tag.end()

    def _aside(self, start: int) -> int:
        """Up to the marker that ends a comment, a CDATA section, a declaration or a script."""
        if self._marker.startswith("<"):
            tag = re.compile(self._marker, re.IGNORECASE).search(self._buffer, start)
            stop = tag.start() if tag else -1
        else:
            stop = self._buffer.find(self._marker, start)
        if stop >= 0:
            self._sink.aside(self._buffer[start:stop])
            self._sink.boundary()
            self._read = self._text
            # A script's end is a tag and is read as one.
            return stop if self._marker.startswith("<") else stop + len(self._marker)
        end = len(self._buffer) - (0 if self._is_last else len(self._marker) - 1)
        if end <= start:
            return start
        self._sink.aside(self._buffer[start:end])
        return end

    def _attributes(self, start: int) -> int:
        stop = _TAG_STOP.search(self._buffer, start)
        end = stop.start() if stop else len(self._buffer)
        if end > start:
            self._sink.aside(self._buffer[start:end].replace("=", f"={EDGE}"))
        if stop is None:
            return end
        if stop[0] == ">":
            self._end_of_tag()
        else:
            self._part()
            self._sink.boundary()
            self._marker = stop[0]
            self._read = self._quoted
        return stop.end()

    def _end_of_tag(self) -> None:
        self._sink.boundary()
        self._sink.tag(self._tag_name, is_end=self._is_end)
        is_raw = self._tag_name in _RAW and not self._is_end
        self._marker = f"</{self._tag_name}"
        self._read = self._aside if is_raw else self._text

    def _quoted(self, start: int) -> int:
        stop = self._buffer.find(self._marker, start)
        end = self._before_entity(start) if stop < 0 else stop
        if end > start:
            self._sink.aside(unescape(self._buffer[start:end]))
        if stop < 0:
            return end
        self._sink.boundary()
        self._read = self._attributes
        return stop + 1
