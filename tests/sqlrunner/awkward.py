"""What the rows of awkward.sql must be in Arrow, whichever database they came from."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa


def check_types_and_values(table: pa.Table) -> None:
    """`table`: SELECT * FROM t ORDER BY id."""
    assert [str(kind) for kind in table.schema.types] == [
        *("int32", "int64", "decimal128(18, 3)", "double", "bool", "date32[day]"),
        *("timestamp[us]", "timestamp[us, tz=UTC]", "string"),
    ]
    first, last = table.to_pylist()[0], table.to_pylist()[-1]
    assert first["big"] == 2**63 - 1
    assert first["price"] == Decimal("123456789012345.678")
    assert first["zoned"] == dt.datetime(2019, 12, 31, 23, tzinfo=dt.UTC)
    assert last["name"] == "Zoë 漢字 🩺"
    assert table["name"].to_pylist()[2:4] == [None, ""]
