"""What tables are called in SQL, which does not tell names apart by case."""

import hashlib
from collections import Counter
from collections.abc import Collection

DIGEST_DIGITS = (6, 16, 64)
"""Digits of a digest that tell names apart; more where a name that someone chose to clash, clashes."""


def sql_names(tables: Collection[str]) -> dict[str, str]:
    """Return the name of each table in SQL.

    Of names that are alike but for case, each gets a digest, and no table has the name that could mean both.
    """
    folded = Counter(name.casefold() for name in tables)
    alike = [name for name in tables if folded[name.casefold()] > 1]
    for digits in DIGEST_DIGITS:
        names = {name: f"{name}_{hashlib.sha256(name.encode()).hexdigest()[:digits]}" for name in alike}
        chosen = {name.casefold() for name in names.values()}
        if len(chosen) == len(alike) and not chosen & folded.keys():
            break
    return {name: names.get(name, name) for name in tables}


def quoted(name: str) -> str:
    """Return a name as SQL has it between double quotes."""
    return '"' + name.replace('"', '""') + '"'
