"""A key that stands more than once in one object is always found, and found nowhere else."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.ingest.archives import ArchiveRejected, metadata_in, parse, repeated_key
from carrel.ingest.tables.blocks import blocks_of

FLAT = b'{"x":1.5,"y":2}'
MANY = b",".join([FLAT] * 100)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b'{"a":1,"a":2}', ("a",)),
        (b'{"a":1,"a":1}', ("a",)),
        (b'{"a" : 1,\n "a"\t:2}', ("a",)),
        (b'\xef\xbb\xbf{"a":1,"a":2}', ("a",)),
        ('{"a":1,"a":2}'.encode("utf-16"), ("a",)),
        (rb'{"\u0061":1,"a":2}', ("a",)),
        (rb'{"k\u003a":1,"b":1,"b":2}', ("b",)),
        (rb'{"k":"\u003A","b":1,"b":2}', ("b",)),
        (b'{"o":{"deep":[0,{"a":1,"b":"::","b":2}]}}', ("o", "deep", 1, "b")),
        (b'{"n":123456789012345678901234567890,"a":1,"a":2}', ("a",)),
        (b'{"a":{"b":1,"b":2},"a":3}', ("a",)),
        (b'[1,[{"":1,"":2}]]', (1, 0, "")),
        (b"[" + MANY + b',{"x":1,"x":2}]', (100, "x")),
        (b"[" + MANY + b',{"x":"a:b","y":{"z":1,"z":2}}]', (100, "y", "z")),
        (b'[{"x":1,"x":2},' + MANY + b"]", (0, "x")),
    ],
)
def test_a_repeated_key_is_found_where_it_stands(document, place):
    assert repeated_key(document, parse(document)) == place


@pytest.mark.parametrize(
    "document",
    [
        b"{}", b"3", b'"a:b"', b'{"a":":\\":","b":{"a":1}}', rb'{"\u003a":1,"c":"\u003A","\\u003a":2}',
        b'{"a":1,"A":2,"a ":3}', b"[" + MANY + b"]", b"[" + MANY + b",7]", b'[{"a":1},{"a":1}]',
        b'{"n":123456789012345678901234567890}',
    ],
)  # fmt: skip
def test_what_looks_like_one_is_none(document):
    assert repeated_key(document, parse(document)) is None


texts = st.sampled_from(["a", "b", ":", '":', "\\", '"', " :", "é", "", "u003a"])
values = st.recursive(
    st.none() | st.integers(-9, 9) | st.sampled_from([0.1, 1e5, 2**70]) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class Written(dict):
    """Members as they are written, repeated or not."""

    def __init__(self, members):
        super().__init__(members)
        self.members = members

    def items(self):
        return self.members


@given(
    values,
    st.dictionaries(texts, values, min_size=1, max_size=3),
    st.integers(0, 90),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_stands_around_it(other, members, before, is_repeated, indent, plain):
    written = list(members.items())
    if is_repeated:
        written.append((written[0][0], other))
    array = [{"x": 1}] * before + [other, {"in": [Written(written)]}]
    document = json.dumps(array, indent=indent, ensure_ascii=plain).encode()
    assert repeated_key(document, parse(document)) == ((before + 1, "in", 0, written[0][0]) if is_repeated else None)


@pytest.mark.parametrize("size", [10, 300, 100_000])
def test_in_a_long_array_the_place_is_that_of_the_file(size):
    array = b"[" + MANY + b',{"x":1,"x":2},' + MANY + b"]"
    places = [block.repeated for block in blocks_of([array[at : at + 64] for at in range(0, len(array), 64)], size)]
    assert [place for place in places if place] == [(100, "x")]


def test_metadata_that_says_two_things_says_nothing():
    with pytest.raises(ArchiveRejected) as caught:
        metadata_in(b'{"recordid":"one","assessmentid":"a","recordid":"two"}')
    assert (caught.value.fault.keyword, "recordid" in str(caught.value)) == ("duplicate_key", True)
    assert "two" not in str(caught.value)


def test_metadata_that_says_one_thing_twice_says_it():
    about = metadata_in(b'{"recordid":"one","recordid":"one","clientInfo":{"a":1,"a":2}}')
    assert about == {"recordid": "one", "clientInfo": orjson.loads(b'{"a":2}')}
