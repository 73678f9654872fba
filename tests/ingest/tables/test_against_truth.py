"""The tables against the ground truth, cell by cell: synthetic studies, and JSON made to trip a table maker."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.ingest_tables import after_runs, assembled, cells, lineage_of, lineages, of_truth, truth_tables

from carrel.synthetic import FAULTS, SHAPES, Knobs, generate, truth_of
from carrel.synthetic.study import DECLARED, table_value

KNOBS = [Knobs(seed=seed, records=25, odd_keys=0.7, int_noise=0.4, nulls=0.4, optional_keys=0.5) for seed in range(4)]
KNOBS += [Knobs(seed=9, records=60, faults=dict.fromkeys(FAULTS, 1), odd_keys=0.5)]
KNOBS += [Knobs(seed=10, records=4, shapes={shape: 1}, hz=50) for shape in SHAPES]


@pytest.mark.parametrize("knobs", KNOBS, ids=lambda knobs: f"seed{knobs.seed}-{'-'.join(knobs.shapes)[:20]}")
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_synthetic_studies_come_out_as_the_truth_says(knobs, batch):
    made = [each for each in generate(knobs) if each.files]
    truth = truth_of(made)["tables"]
    files = [
        (file.dataset, lineage_of(each.metadata, file), table_value(file, each.metadata))
        for each in made
        for file in each.files
        if file.dataset
    ]
    random.Random(knobs.seed).shuffle(files)
    tables = {}
    for dataset in sorted({name for name, *_ in files}):
        mine = [(lineage, value) for name, lineage, value in files if name == dataset]
        tables |= assembled(dataset, DECLARED, mine, batch)
    assert cells(tables) == of_truth(truth)


keys = st.sampled_from(
    ["a", "b", "A", "a_b", "a.b", "len", "a_len", "value", "json", "recordid", "_index", "", "é", "n" * 120]
)
numbers = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([2**53, -(2**53), 2.5, -0.0, 1e22, 1e-7, 5.0, 1e16, 10**16, 2**62, float(2**62)]),
)
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.sampled_from([2**63, -(2**63) - 1, 10**38, 10**37]), st.text(max_size=3)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
documents = st.lists(json_values, max_size=4) | st.dictionaries(keys, json_values, max_size=5)
declarations = st.dictionaries(
    keys.map(lambda key: (key,)), st.sampled_from(["bool", "int64", "float64", "string"]), max_size=3
)


@given(st.lists(documents, min_size=1, max_size=5), declarations, st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_comes_out_as_the_truth_says_in_any_order_and_batches(values, declared, data):
    files = list(zip(lineages(len(values)), values, strict=True))
    mine = data.draw(st.permutations(files))
    batch = data.draw(st.integers(1, len(files)))
    declared = {"D": declared}
    assert cells(assembled("D", declared, mine, batch)) == of_truth(truth_tables("D", declared, files))


@given(st.lists(documents, min_size=1, max_size=5), declarations, st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_run_after_run_comes_to_the_same_tables(values, declared, data):
    """What was committed is brought into the schema of each later run: the order of arrival never shows, but that of
    keys whose names are alike, those that came first keep theirs."""
    files = list(zip(lineages(len(values)), values, strict=True))
    mine = data.draw(st.permutations(files))
    size = data.draw(st.integers(1, len(files)))
    runs = [mine[start : start + size] for start in range(0, len(mine), size)]
    assert cells(after_runs("D", {"D": declared}, runs)) == of_truth(truth_tables("D", {"D": declared}, *runs))
