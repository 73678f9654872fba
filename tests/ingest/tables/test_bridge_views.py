"""Views under the contract's names, held cell by cell to what the export makes of the same rows."""

import json

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.ingest_tables import flats, lineage, lineage_of, lineages, together

from carrel.ingest.tables import Bridge, bridge_views, unify
from carrel.synthetic import SHAPES, Knobs, generate
from carrel.synthetic.study import DECLARED, table_value
from carrel.warehouse.names import quoted


def study():
    """dataset -> its files, of every shape, with odd keys and nulls."""
    knobs = Knobs(seed=3, records=30, shapes=dict.fromkeys(SHAPES, 1), odd_keys=0.7, int_noise=0.4, nulls=0.4, hz=4)
    files = {}
    for made in generate(knobs):
        for file in made.files:
            if file.dataset:
                about = (lineage_of(made.metadata, file), table_value(file, made.metadata))
                files.setdefault(file.dataset, []).append(about)
    return files


STUDY = study()


def flat(dataset, files, declared=None):
    parts = flats(dataset, declared or {}, files, 1_000)
    schema, _ = unify(None, [part.schema for part in parts])
    tables = together(parts, schema)
    return schema, {name: table.cast(schema.tables[name].to_arrow()) for name, table in tables.items()}


def viewed(schema, tables):
    """Native table -> the rows of its view, as DuckDB gives them."""
    made = {}
    for native, text in bridge_views(schema).items():
        about = json.loads(text)
        with duckdb.connect() as connection:
            connection.register(native, tables[native])
            name = quoted(about["name"])
            connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {about['select']} FROM {quoted(native)}")
            made[native] = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
    return made


def hold_equal(schema, tables):
    """Every view's cells, names and types are the export's; how many cells."""
    bridge, views = Bridge(schema), viewed(schema, tables)
    for native, view in views.items():
        nameless = [name for name, origin in bridge.origins(native) if not origin.column]
        wanted = bridge.table(native, tables[native]).drop_columns(nameless)
        folded = [name.casefold() for name in wanted.column_names]
        if all(folded) and len(set(folded)) == len(folded):
            assert view.column_names == wanted.column_names
        assert len({name.casefold() for name in view.column_names}) == view.num_columns == wanted.num_columns
        assert view.schema.types == wanted.schema.types
        assert [column.to_pylist() for column in view.columns] == [column.to_pylist() for column in wanted.columns]
    if len({name.casefold() for name in bridge.names.values()}) == len(bridge.names):
        assert views.keys() == bridge.names.keys()
    return sum(view.num_rows * view.num_columns for view in views.values())


@pytest.mark.parametrize("dataset", sorted(STUDY))
def test_views_of_generated_tables_are_the_exports(dataset):
    assert hold_equal(*flat(dataset, STUDY[dataset], DECLARED.get(dataset))) > 100


keys = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "a_b",
        "a.b",
        "len",
        "value",
        "val",
        "id",
        "Index",
        "recordid",
        "year",
        "",
        "é",
        'q"uo',
        "--x",
        "n" * 120,
    ]
)
documents = st.dictionaries(
    keys,
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(-1, 1) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@given(st.lists(documents, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_views_of_any_json_are_the_exports(values):
    hold_equal(*flat("D_v1", list(zip(lineages(len(values)), values, strict=True))))


def test_ids_are_the_parents_column_and_odd_keys_hash_alike():
    odd = [
        (lineage(f"r{number}", f"é '\"/{number}.json"), {"a": [{"b": ["x"]}, {"b": []}, {}]}) for number in range(50)
    ]
    schema, tables = flat("D_v1", odd)
    assert hold_equal(schema, tables) > 1_000
    made = viewed(schema, tables)
    above = [key for key in made["D_v1__a"].column("b").to_pylist() if key is not None]
    assert set(made["D_v1__a__b"].column("id").to_pylist()) < set(above)
    assert set(made["D_v1__a"].column("id").to_pylist()) == set(made["D_v1"].column("a").to_pylist())
    assert max(made["D_v1"].column("a").to_pylist()) > 2**62, "the top bit counts"


def test_columns_that_differ_by_case_alone_are_told_apart():
    schema, tables = flat("D_v1", [(lineage("r1"), {"a": 1, "A": 2})])
    assert hold_equal(schema, tables)
    names = viewed(schema, tables)["D_v1"].column_names
    assert "a" in names
    assert sum(name.casefold().startswith("a_") for name in names) == 1


def test_of_two_tables_of_one_name_the_first_has_it():
    schema, tables = flat("D_v1", [(lineage("r1"), {"a": [{"b": [1]}], "a_b": [2]})])
    assert sorted(Bridge(schema).names.values()).count("dataset_d_v1_a_b") == 2
    assert set(viewed(schema, tables)) == {"D_v1", "D_v1__a", "D_v1__a_b"}
