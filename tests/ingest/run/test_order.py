"""Nothing that a run makes shows the names of files, the order of archives, the size of batches or how many work."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.ingest import Folder, deliver, ingest, quarantine_of, tables_of

from carrel.ingest.run import IngestOptions, processes

NUMBERS = [2**53 + 1, -(2**53) - 1, 2**53, 1, 0.5, -0.0, 1e5, 1e19, 2**63, 10**40]
MIXED = st.sampled_from([*NUMBERS, "t", "1", True, None, {}, [], [2**53 + 1, 0.5]])
FILES = st.lists(
    st.dictionaries(st.sampled_from(["a", "A", "a_b", "a.b", ""]), MIXED, max_size=3), min_size=2, max_size=6
)


def made_of(folder, values, order, options, pool=None):
    """Everything but which run and file it came from; archives are named, and so listed, in this order."""
    folder.mkdir()
    for name, record in enumerate(order):
        deliver(folder, f"{name:02d}", f"r{record}", values[record])
    warehouse = folder / "w"
    ingest(warehouse, Folder(folder), pool=pool, options=options)
    tables = {
        name: (table.schema.remove_metadata().to_string(), sorted(map(told, table.to_pylist()), key=str))
        for name, table in tables_of(warehouse).items()
        if name.startswith("Anything")
    }
    return tables, sorted((row["recordid"], row["source_file"], row["message"]) for row in quarantine_of(warehouse))


def told(row):
    return json.dumps({key: value for key, value in row.items() if not key.startswith("_archive")}, default=str)


@given(FILES, st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_names_nor_batches_show(tmp_path_factory, values, data):
    folder = tmp_path_factory.mktemp("order")
    forwards = list(range(len(values)))
    once = made_of(folder / "once", values, forwards, IngestOptions())
    order = data.draw(st.permutations(forwards))
    batch = IngestOptions(batch_archives=data.draw(st.integers(1, len(values))))
    assert made_of(folder / "again", values, order, batch) == once


def test_nor_do_workers(tmp_path):
    values = [{"a": 2**53 + 1}, {"a": 0.5}, {"a": "t"}, {"A": 1}, {"a": [2**53 + 1]}, {"a": [0.5]}]
    once = made_of(tmp_path / "once", values, range(len(values)), IngestOptions())
    two = made_of(tmp_path / "two", values, [1, 0, 2, 5, 4, 3], IngestOptions(batch_archives=2), processes(2))
    assert two == once
    rows = [json.loads(row) for row in once[0]["Anything_v1"][1]]
    assert {row["a"] for row in rows} == {"9007199254740993", "0.5", "t", None}
