"""Cutting a long array into blocks: any array, any sizes of chunks and blocks, gives what parsing it whole gives."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ingest_tables import assembled, cells, lineage, together

from carrel.ingest.archives import FileRejected, parse
from carrel.ingest.tables import Flattener, conform, flatten_stream, unify
from carrel.ingest.tables.blocks import blocks_of

tricky = st.sampled_from(["},{", '"', "\\", "[", "]", "a,b", "}\n,\n{", "é", '\\"},{', ""])
values = st.recursive(
    st.none() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | tricky,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tricky, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(tricky, values, max_size=4)
arrays = st.lists(objects, max_size=8) | st.lists(values, max_size=8)


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(
    arrays,
    st.integers(1, 40),
    st.integers(1, 200),
    st.sampled_from([None, 1]),
    st.sampled_from([b"", b"\xef\xbb\xbf", b" \n"]),
)
@settings(max_examples=80, deadline=None)
def test_blocks_are_the_array(array, chunk, block, indent, head):
    data = head + json.dumps(array, indent=indent).encode()
    found = list(blocks_of(chunked(data, chunk), block))
    assert [element for each in found for element in each.elements] == array
    position = 0
    for each in found:
        assert each.first == position
        position += len(each.elements)


@given(arrays, st.data())
@settings(max_examples=80, deadline=None)
def test_what_is_no_json_is_refused_as_by_parsing_it_whole(array, data):
    text = json.dumps(array).encode()
    place = data.draw(st.integers(1, len(text)))
    spoilt = text[:place] + data.draw(st.sampled_from([b"", b",", b"]", b"}", b"x", b'"'])) + text[place + 1 :]
    try:
        whole = parse(spoilt)
    except FileRejected:
        with pytest.raises(FileRejected):
            list(blocks_of([spoilt], 10))
        with pytest.raises(FileRejected):
            list(blocks_of(chunked(spoilt, 7), 16))
    else:
        assert [element for each in blocks_of(chunked(spoilt, 7), 16) for element in each.elements] == whole


@given(
    st.lists(st.dictionaries(st.text("aé\U0001f600{[,\n", max_size=4), st.integers(), max_size=3), max_size=20),
    st.sampled_from(['"\\ud83d"', '{"\\udc00": 1}', "1e400", "NaN", "1" * 400, "x", "[" * 120 + "]" * 120]),
    st.data(),
)
@settings(max_examples=80, deadline=None)
def test_places_are_those_of_the_file_not_of_the_block(array, bad, data):
    elements = [json.dumps(each, ensure_ascii=False, indent=data.draw(st.sampled_from([None, 1]))) for each in array]
    elements.insert(data.draw(st.integers(0, len(elements))), bad)
    head = data.draw(st.sampled_from(["", "\ufeff", "\n \n"]))
    comma = data.draw(st.sampled_from([",", ", ", ",\n"]))
    text = f"{head}[{comma.join(elements)}]".encode()
    with pytest.raises(FileRejected) as whole:
        parse(text)
    with pytest.raises(FileRejected) as streamed:
        list(blocks_of(chunked(text, data.draw(st.integers(1, 50))), data.draw(st.integers(1, 60))))
    assert streamed.value.fault == whole.value.fault


@pytest.mark.parametrize(
    "text", [b"[1,2,]", b"[{},{},]", b"[,1]", b"[{},,{}]", b"[{}] {}", b"[{},{}", b"[", b"[]]", b"[{}]x,{}"]
)
@pytest.mark.parametrize("block", [1, 4, 100])
def test_commas_and_brackets_out_of_place_are_refused(text, block):
    with pytest.raises(FileRejected):
        list(blocks_of(chunked(text, 2), block))


def test_blocks_stay_small_while_elements_are():
    data = json.dumps([{"x": number} for number in range(10_000)]).encode()
    sizes = [len(json.dumps(each.elements)) for each in blocks_of(chunked(data, 500), 2_000)]
    assert max(sizes) < 3_000
    assert len(sizes) > 50


def test_an_element_longer_than_a_block_is_waited_for():
    array = [{"a": "x" * 5_000}, {"a": [{"b": 1}, {"b": 2}] * 500}, {"a": 1}]
    found = list(blocks_of(chunked(json.dumps(array).encode(), 100), 300))
    assert [element for each in found for element in each.elements] == array


@given(arrays, st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_streamed_tables_are_those_of_the_whole(array, block):
    mine = lineage("r1")
    seen = []
    flats = list(
        flatten_stream(
            Flattener("D", {}), mine, chunked(json.dumps(array).encode(), 13), check=seen.extend, block_bytes=block
        )
    )
    schema, _ = unify(None, [flat.schema for flat in flats])
    assert cells(together(flats, schema)) == cells(assembled("D", {}, [(mine, array)], 1))
    assert seen == array


def test_what_is_no_array_is_read_whole():
    mine = lineage("r1")
    (flat,) = flatten_stream(Flattener("D", {}), mine, chunked(b'  {"a": [1, 2]}', 3))
    assert flat.tables["D__a"].num_rows == 2
    (flat,) = flatten_stream(Flattener("D", {}), mine, chunked('[{"a": 1}]'.encode("utf-16"), 3))
    assert flat.tables["D"].column("a").to_pylist() == [1]
    with pytest.raises(FileRejected, match="empty"):
        list(flatten_stream(Flattener("D", {}), mine, []))


def test_a_check_that_fails_on_a_later_block_stops_the_stream():
    def check(elements):
        if any(each["x"] > 50 for each in elements):
            raise FileRejected("schema", "maximum", "too large")

    data = json.dumps([{"x": number} for number in range(100)]).encode()
    stream = flatten_stream(Flattener("D", {}), lineage("r1"), chunked(data, 10), check=check, block_bytes=100)
    assert next(stream).tables["D"].num_rows
    with pytest.raises(FileRejected, match="too large"):
        list(stream)


def test_later_blocks_have_the_columns_of_earlier_ones():
    data = json.dumps([{"x": 1, "y": 2}] * 50 + [{"x": 1.5}] * 50).encode()
    flats = list(flatten_stream(Flattener("D", {}), lineage("r1"), [data[:900], data[900:]], block_bytes=500))
    assert len(flats) > 1
    assert [column.kind for column in flats[-1].schema.tables["D"].columns] == ["float64", "int64"]
    merged, _ = unify(None, [flat.schema for flat in flats])
    rows = [conform(flat.tables["D"], flat.schema.tables["D"], merged.tables["D"]).num_rows for flat in flats]
    assert sum(rows) == 100
