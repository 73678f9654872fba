"""Anchors of the audit chain: its head, written every day to a file outside the database. The format. Pure.

One line of JSON each, with `day`, `number`, `hash` and `written_at`. Who changes events and hashes all that follow anew
has a chain that is whole, and does not hold the heads that were written down before.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from carrel.review.chain import is_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """The last event of the chain at one moment, as it was written down. `place`: where, for people."""

    number: int
    hash: str
    place: str


def line_of(*, day: date, number: int, hash: str, written_at: datetime) -> bytes:
    """Return an anchor as its line in the file."""
    content = {"day": day.isoformat(), "number": number, "hash": hash, "written_at": written_at.isoformat()}
    return json.dumps(content).encode() + b"\n"


def heads_of(lines: Iterable[bytes], name: str) -> tuple[list[ChainHead], list[str]]:
    """Return the heads of a file of anchors, and of the lines that are none what they are, in words.

    `name`: the file's, for people. A line that a power cut has left half written is one of those.
    """
    heads, unread = [], []
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            head = ChainHead(
                number=content["number"], hash=content["hash"], place=f"line {number} of {name}, of {content['day']}"
            )
            is_head = isinstance(head.number, int) and head.number > 0 and is_hash(head.hash)
        except (ValueError, KeyError, TypeError, RecursionError):
            is_head = False
        if is_head:
            heads.append(head)
        else:
            unread.append(f"Line {number} of {name} is no anchor.")
    return heads, unread


def head_fault(head: ChainHead, hashes: Mapping[int, str]) -> str:
    """Return why the chain does not hold a head, in a sentence; "" when it does. `hashes`: of the chain's events."""
    if head.number not in hashes:
        return f"Event {head.number} is missing: {head.place} has it, and the log ends before."
    if hashes[head.number] != head.hash:
        return f"Event {head.number} is not the one that {head.place} has: the log was written anew since."
    return ""
