"""What strangers' archives may do to us, and what becomes of each attempt."""

import json
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.archives import ArchiveRejected, FileRejected, Limits, open_archive, parse, record_of
from carrel.ingest.generate import zips
from carrel.units.limits import MAX_JSON_DEPTH


def rejected(data, limits=None):
    with pytest.raises(ArchiveRejected) as caught, open_archive(data, limits):
        pass
    return caught.value.fault.keyword


def refused(data):
    with pytest.raises(FileRejected) as caught:
        parse(data)
    return caught.value.fault.keyword


GOOD = zips.archive([("a.json", b"{}"), ("folder/", b""), ("folder/b.json", b"[1]")])


def test_entries_are_listed_and_read_and_folders_looked_into():
    with open_archive(GOOD) as archive:
        assert [(entry.path, entry.name, archive.read(entry)) for entry in archive.entries] == [
            ("a.json", "a.json", b"{}"),
            ("folder/b.json", "b.json", b"[1]"),
        ]
        assert archive.rejected == {}


def test_an_archive_on_disk_is_read_as_one_in_memory(tmp_path):
    path = tmp_path / "one.zip"
    path.write_bytes(GOOD)
    with open_archive(path) as archive:
        assert len(archive.entries) == 2


@pytest.mark.parametrize("cut", range(1, len(GOOD), 7))
def test_an_archive_cut_off_anywhere_is_rejected_not_half_taken(cut):
    assert rejected(GOOD[:cut]) == "zip"


def test_what_is_no_zip_is_rejected():
    assert rejected(b"<html>504</html>") == "zip"
    assert rejected(b"") == "zip"


def test_encryption_is_rejected():
    assert rejected(zips.encrypted(GOOD)) == "encrypted"


def test_bombs_are_known_by_ratio_and_by_size():
    data = zips.archive([("a.json", b" " * 1_000_000)])
    assert rejected(data, Limits(ratio_from=1000)) == "bomb"
    assert rejected(data, Limits(entry_bytes=999_999)) == "bomb"
    assert rejected(GOOD, Limits(total_bytes=4)) == "bomb"
    assert rejected(GOOD, Limits(entries=1)) == "too_many_entries"
    with open_archive(data) as archive:
        assert archive.entries[0].size == 1_000_000


def test_an_entry_with_a_false_size_gives_no_more_than_it_announced():
    data = bytearray(zips.archive([("a.json", b"x" * 5000)]))
    with zipfile.ZipFile(__import__("io").BytesIO(bytes(data))) as opened:
        info = opened.getinfo("a.json")
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    assert info.file_size == 5000
    with open_archive(bytes(data)) as archive, pytest.raises(FileRejected) as caught:
        archive.read(archive.entries[0])
    assert caught.value.fault.keyword == "crc"


def test_a_bad_checksum_rejects_the_entry_only():
    data = zips.bad_crc(zips.archive([("a.json", b"{}"), ("b.json", b"[1, 2]")]), "b.json")
    with open_archive(data) as archive:
        assert archive.read(archive.entries[0]) == b"{}"
        with pytest.raises(FileRejected) as caught:
            archive.read(archive.entries[1])
    assert caught.value.fault.keyword == "crc"


@pytest.mark.parametrize("path", ["../a.json", "/a.json", "x/../../a.json", "C:/a.json", "a\\b.json"])
def test_path_tricks_reject_the_entry_only(path):
    with open_archive(zips.archive([("good.json", b"{}"), (path, b"{}")])) as archive:
        assert [entry.path for entry in archive.entries] == ["good.json"]
        assert [fault.keyword for fault in archive.rejected.values()] == ["path"]


def test_a_name_that_ends_early_at_a_nul_is_a_trick():
    data = zips.archive([("a.json@.txt", b"{}")]).replace(b"a.json@", b"a.json\0")
    with open_archive(data) as archive:
        assert archive.entries == ()
        assert [fault.keyword for fault in archive.rejected.values()] == ["path"]


def test_duplicate_names_are_rejected_because_nobody_knows_which_is_meant():
    with open_archive(zips.archive([("a.json", b"1"), ("a.json", b"2"), ("b.json", b"3")])) as archive:
        assert [entry.path for entry in archive.entries] == ["b.json"]
        assert archive.rejected["a.json"].keyword == "duplicate_name"


@given(st.binary(max_size=400))
def test_noise_never_gets_past_as_anything_but_a_rejection(noise):
    data = GOOD[:20] + noise + GOOD[20:]
    try:
        with open_archive(data) as archive:
            for entry in archive.entries:
                archive.read(entry)
    except (ArchiveRejected, FileRejected):
        pass


# -- JSON


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    )
)
def test_any_json_comes_through_exactly(value):
    got = parse(json.dumps(value).encode())
    assert got == value
    assert json.dumps(got) == json.dumps(value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(encoding):
    assert parse('{"a": "naïve ☕"}'.encode(encoding)) == {"a": "naïve ☕"}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40])
def test_integers_are_exact(number):
    assert parse(b'{"n": %d}' % number) == {"n": number}


@pytest.mark.parametrize(
    ("data", "keyword"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b'{"a": NaN}', "nan"),
        (b"[Infinity]", "nan"),
        (b"[-Infinity]", "nan"),
        (b'{"a": 1', "syntax"),
        (b"{'a': 1}", "syntax"),
        (b"[1,]", "syntax"),
        (b'["\xff"]', "encoding"),
        ('["x"]'.encode("utf-16")[:-1], "encoding"),
        (b"[" + b"9" * 5000 + b"]", "number"),
        (b"[" * 200 + b"]" * 200, "depth"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "depth"),
        (b"[" * 100_000, "depth"),
        (b"[" * 100_000 + b"]" * 100_000, "depth"),
    ],
)
def test_what_is_not_json_says_why(data, keyword):
    assert refused(data) == keyword


def test_depth_counts_levels_not_brackets():
    nested = b"[" * (MAX_JSON_DEPTH - 1) + b"1" + b"]" * (MAX_JSON_DEPTH - 1)
    assert parse(nested)
    assert len(parse(b"[" + b",".join([b'{"a": "]]}}{["}'] * 300) + b"]")) == 300


# -- metadata

METADATA = {
    "recordId": "r1",
    "assessmentid": "tremor",
    "assessmentrevision": "1",
    "uploadedOn": "2024-01-02T03:04:05.678Z",
}


def test_keys_in_any_case_and_numbers_as_strings():
    record = record_of({**METADATA, "participantVersion": 3, "healthCode": ["h"]}, app_id="app")
    assert (record.record_id, record.healthcode, record.app_id) == ("r1", "h", "app")
    assert record.metadata["participantversion"] == "3"
    assert record.uploaded_on == datetime(2024, 1, 2, 3, 4, 5, 678000, UTC)


@pytest.mark.parametrize(
    "text", ["2024-01-02T03:04:05Z", "2024-01-01T20:04:05-07:00", "2024-01-02T03:04:05", "1704164645000"]
)
def test_times_with_and_without_fraction_and_offset(text):
    assert record_of({**METADATA, "uploadedOn": text}).uploaded_on == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "keyword"),
    [
        ({"recordId": None}, "required"),
        ({"recordId": ""}, "required"),
        ({"assessmentid": None}, "required"),
        ({"uploadedOn": None}, "required"),
        ({"uploadedOn": "yesterday"}, "format"),
        ({"uploadedOn": "9" * 30}, "format"),
        ({"exportedOn": "?"}, "format"),
        ({"assessmentrevision": "two"}, "format"),
    ],
)
def test_metadata_that_cannot_be_placed_rejects_the_archive(change, keyword):
    with pytest.raises(ArchiveRejected) as caught:
        record_of({**METADATA, **change})
    assert caught.value.fault.keyword == keyword


def test_a_missing_revision_is_no_revision():
    assert record_of({**METADATA, "assessmentrevision": ""}).assessment_revision is None
