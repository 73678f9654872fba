"""The hash chain of the audit log: each event's hash is made of its contents and the hash before it. Pure.

`docs/governance/audit.md` says how to verify it without Carrel: SHA-256 over the event as JSON with sorted keys, no
blanks, UTF-8, which holds `previous_hash` and everything but `hash`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

GENESIS = "0" * 64
"""What stands as the hash before the first event."""


def is_hash(text: object) -> bool:
    """Tell whether this is a SHA-256 in lower-case hex."""
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def hash_of(event: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of an event without its own `hash`. Raises ValueError for what JSON cannot hold."""
    content = {key: value for key, value in event.items() if key != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_fault(events: Iterable[Mapping[str, Any]], *, previous: str = GENESIS, number: int = 0) -> str:
    """Return what is wrong with the first event that does not fit, in a sentence; "" for a whole chain.

    `events` in their order, after the one with `number` and the hash `previous`.
    """
    for event in events:
        number += 1
        if event["number"] != number:
            return f"Event {number} is missing: event {event['number']} stands in its place."
        if event["previous_hash"] != previous:
            return f"Event {number} does not follow the one before it: its `previous_hash` is another one."
        previous = hash_of(event)
        if event["hash"] != previous:
            return f"Event {number} was changed: its contents do not have the hash that it bears."
    return ""
