"""ULIDs (github.com/ulid/spec): ids of 26 characters that sort by the time at which they were made."""

import re
import secrets
import time

ULID_LENGTH = 26
ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""26 characters of Crockford's base32: 48 bits of time, then 80 at random."""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """Return a ULID of now: 48 bits of milliseconds and 80 random ones."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Tell whether this can be a ULID."""
    return re.fullmatch(ULID_PATTERN, text) is not None
