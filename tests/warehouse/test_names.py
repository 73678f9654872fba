"""What tables are called in SQL."""

import hashlib

from carrel.warehouse.names import sql_names


def test_tables_that_are_alike_but_for_case_get_a_digest():
    long = "Survey_v1__" + "items" * 30
    tables = [
        "a__b",
        "a__B",
        "People",
        "a__b_" + hashlib.sha256(b"a__b").hexdigest()[:6],
        long,
        long.upper(),
        "odd é",
        "Odd é",
    ]
    called = sql_names(tables)
    assert len({name.casefold() for name in called.values()} | {"a__b", "odd é", long.casefold()}) == len(tables) + 3
    assert called["People"] == "People"
