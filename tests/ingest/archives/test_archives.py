"""What strangers' archives may do to us, and what becomes of each attempt."""

import io
import json
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.archives import (
    ArchiveLimits,
    ArchiveRejected,
    FileRejected,
    id_in,
    metadata_in,
    open_archive,
    parse,
    record_of,
)
from carrel.synthetic import zips
from carrel.units.limits import MAX_ARCHIVE_BYTES, MAX_JSON_DEPTH


def rejected(data, limits=None):
    with pytest.raises(ArchiveRejected) as caught, open_archive(data, limits):
        pass
    return caught.value.fault.keyword


def refusal(data):
    with pytest.raises(FileRejected) as caught:
        parse(data)
    return caught.value.fault


def refused(data):
    return refusal(data).keyword


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
    assert rejected(zips.mark_encrypted(GOOD)) == "encrypted"


def test_bombs_are_known_by_ratio_and_by_size():
    data = zips.archive([("a.json", b" " * 1_000_000)])
    assert rejected(data, ArchiveLimits(ratio_from=1000)) == "bomb"
    assert rejected(data, ArchiveLimits(entry_bytes=999_999)) == "bomb"
    assert rejected(GOOD, ArchiveLimits(total_bytes=4)) == "bomb"
    assert rejected(GOOD, ArchiveLimits(entries=1)) == "too_many_entries"
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
    data = zips.spoil_crc(zips.archive([("a.json", b"{}"), ("b.json", b"[1, 2]")]), "b.json")
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


@pytest.mark.parametrize(
    "number", [b"1e400", b"-1e999", b"1E+400", b"0.1e0400", b"1" * 400, b"-" + b"9" * 310, b"1" * 300 + b"e99"]
)
@pytest.mark.parametrize("around", [b'{"a": 1, "b": %s}', b"[[%s]]", b'{"id": 1234567890123456789, "b": %s}'])
def test_a_number_that_no_double_holds_is_refused_where_it_stands(number, around):
    fault = refusal(around % number)
    assert (fault.stage, fault.keyword) == ("json", "number")
    assert fault.message.endswith(f"line 1 column {around.index(b'%') + 1}")
    assert parse(b'{"a": "1e400", "b": 1e-400, "c": 1e308, "%s": "\\u1e99"}' % number)["c"] == 1e308


HALVES = ["\\ud83d", "\\uDE00", "x\\ud800y", "\\ud83d\\ud83d\\ude00", "\\ud83d\\n", "\\\\\\ud83d", "\\ud83d\\\\ude00"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("around", ['{"a": "%s"}', '{"%s": 1}', '[{"b": {"%s": null}}]', '["%s", 1234567890123456789]'])
def test_half_a_character_is_refused_where_it_stands(half, around):
    fault = refusal((around % half).encode())
    assert (fault.stage, fault.keyword) == ("json", "encoding")
    first = min(at for at in (half.find("\\ud83d"), half.find("\\uDE00"), half.find("\\ud800")) if at >= 0)
    assert fault.message.endswith(f"line 1 column {around.index('%') + first + 1}")


def test_whole_characters_are_no_halves_however_they_are_spelt():
    text = b'["\\ud83d\\ude00", "\\\\ud83d", "\\\\\\\\ud83d", "\\u00e9", 1234567890123456789]'
    assert parse(text)[:2] == ["\U0001f600", "\\ud83d"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"é": 1,\n "b": 1e999}', "line 2 column 7"),
        ('{"é": 1,\n "b": NaN}', "line 2 column 7"),
        ('["é", -Infinity]', "line 1 column 7"),
        ('["é"\n,\n  x]', "line 3 column 3"),
        ('["é",\n' + "[" * 150 + "]" * 150 + "]", "line 2 column 100"),
    ],
)
def test_places_are_those_that_an_editor_shows(mark, text, place):
    assert refusal(mark + text.encode()).message.endswith(place)


def test_bytes_are_counted_from_the_beginning_of_the_file():
    assert refusal(b'\xef\xbb\xbf["\xff"]').message == "not UTF-8 at byte 5"


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
    "text",
    [
        "2024-01-02T03:04:05Z",
        "2024-01-01T20:04:05-07:00",
        "2024-01-02T03:04:05",
        "1704164645000",
        1704164645000,
        "2024-01-02 03:04:05,000000000+00",
        "2024-01-02T08:49:05+0545",
    ],
)
def test_times_with_and_without_fraction_and_offset(text):
    assert record_of({**METADATA, "uploadedOn": text}).uploaded_on == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


DATES_THAT_ARE_NONE = [
    *("20240215", "2024", "1644950895", "20240215184815", "1644950895890123", "١٦٤٤٩٥٠٨٩٥٨٩٠", "²²²²²²²²²²²²"),
    *("0000-00-00", "2024-02-30", "2023-02-29T00:00:00Z", "99999-01-01T00:00:00Z", "-2024-01-01T00:00:00Z"),
    *("2024-02-15T24:00:00Z", "2016-12-31T23:59:60Z", "2024-02-15T18:60:00Z", "2024-02-15T18Z", "2024-02-15T"),
    *("2024-02-15T18:48:15+99:99", "2024-02-15T18:48:15+24:00", "2024-02-15T18:48:15+05:60", "2024-02-15T18:48:15 Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "2024-W07-4", "2024-046", "1e12", "1.7e12", "NaN"),
]
REVISIONS_THAT_ARE_NONE = [
    "inf",
    "-inf",
    "nan",
    "1e400",
    "1.5",
    "-1",
    "1_0",
    "١",
    "0x1",
    "2147483648",
    "9" * 400,
    [],
    {},
]


@pytest.mark.parametrize(
    ("change", "keyword"),
    [
        ({"recordId": None}, "required"),
        ({"recordId": ""}, "required"),
        ({"assessmentid": None}, "required"),
        ({"uploadedOn": None}, "required"),
        ({"recordId": " \t"}, "required"),
        ({"recordId": ["r", "s"]}, "format"),
        ({"recordId": {"r": 1}}, "format"),
        ({"recordId": True}, "format"),
        ({"recordId": 1.5}, "format"),
        ({"recordId": "r\0"}, "format"),
        ({"recordId": "r\n"}, "format"),
        ({"recordId": "r" * 501}, "format"),
        ({"healthCode": ["a", "b"]}, "format"),
        ({"recordId": "r\ud800"}, "encoding"),
        ({"assessmentid": "\udfff"}, "encoding"),
        ({"appId": "\ud83d"}, "encoding"),
        ({"any": {"deep": ["\ud83d"]}}, "encoding"),
        ({"\ud83d": 1}, "encoding"),
        ({"any": float("inf")}, "number"),
        ({"any": [float("nan")]}, "number"),
        ({"RECORDID": "r2"}, "duplicate_key"),
        *(({"uploadedOn": text}, "format") for text in DATES_THAT_ARE_NONE),
        *(({"assessmentrevision": text}, "format") for text in REVISIONS_THAT_ARE_NONE),
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
    assert not any("\ud800" <= letter <= "\udfff" for letter in caught.value.fault.message)


@pytest.mark.parametrize(
    ("said", "revision"), [("7", 7), (7, 7), (7.0, 7), ("7.0", 7), (["7"], 7), ("", None), (None, None)]
)
def test_revisions_are_whole_numbers_however_they_are_written(said, revision):
    assert record_of({**METADATA, "assessmentrevision": said}).assessment_revision == revision


@pytest.mark.parametrize("said", [{"healthCode": "h"}, {"HEALTHCODE": ["h"], "healthcode": "h"}])
def test_whose_it_is_is_known_although_its_metadata_is_refused(said):
    metadata = metadata_in(json.dumps({**METADATA, **said, "assessmentid": "\ud83d", "n": float("inf")}).encode())
    with pytest.raises(ArchiveRejected):
        record_of(metadata)
    assert (id_in(metadata, "healthcode"), id_in(metadata, "recordid")) == ("h", "r1")


@pytest.mark.parametrize("said", ["", " ", None, "\ud83d", ["a", "b"], {"a": 1}, True])
def test_what_cannot_be_written_down_names_nobody(said):
    assert id_in({"healthCode": said}, "healthcode") is None
    assert id_in({"healthCode": "a", "healthcode": "b"}, "healthcode") is None


def test_a_missing_revision_is_no_revision():
    assert record_of({**METADATA, "assessmentrevision": ""}).assessment_revision is None


# -- what strangers' tools and enemies put into zips


def taken(data):
    """(paths that can be taken, path -> keyword of those that cannot, what a desktop left)"""
    with open_archive(data) as archive:
        for entry in archive.entries:
            archive.read(entry)
        refused = {path: fault.keyword for path, fault in archive.rejected.items()}
        return [entry.path for entry in archive.entries], refused, list(archive.beside)


def central(data):
    """Where the first entry of the central directory begins."""
    return data.index(b"PK\x01\x02")


@pytest.mark.parametrize("folder", ["", "r1/", "study 7/r1/"])
def test_the_root_is_the_folder_that_everything_is_in(folder):
    paths = [f"{folder}metadata.json", f"{folder}inner/a.json", f"{folder}b.json"]
    beside = [f"__MACOSX/{folder}._b.json", ".DS_Store", f"{folder}.DS_Store", f"{folder}inner/._a.json"]
    data = zips.archive([(path, b"{}") for path in [*beside, *paths]])
    with open_archive(data) as archive:
        assert archive.metadata.path == paths[0]
        assert [entry.path for entry in archive.entries] == paths
        assert archive.beside == tuple(sorted(set(beside)))
        assert archive.rejected == {}


def test_a_metadata_file_beside_the_folder_of_another_is_the_archives_own():
    with open_archive(zips.archive([("a/metadata.json", b"1"), ("metadata.json", b"2")])) as archive:
        assert archive.read(archive.metadata) == b"2"
    with open_archive(zips.archive([("a/metadata.json", b"1"), ("b/x.json", b"2")])) as archive:
        assert archive.metadata is None


def test_what_a_desktop_leaves_is_no_fault_however_often_it_is_there():
    data = zips.archive([("a.json", b"{}"), (".DS_Store", b"1"), (".DS_Store", b"2"), ("Thumbs.db", b"")])
    assert taken(data) == (["a.json"], {}, [".DS_Store", "Thumbs.db"])


def directory_of(count):
    """A zip64 archive that is nothing but the directory of so many entries."""
    made = bytearray()
    for number in range(count):
        name = b"%d" % number
        made += b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, 20, *[0] * 7, len(name), *[0] * 6) + name
    end = b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count, len(made), 0)
    end += b"PK\x06\x07" + struct.pack("<LQL", 0, len(made), 1)
    return bytes(made) + end + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_million_entries_are_refused_before_they_are_looked_at(on_disk, tmp_path):
    data = directory_of(1_000_000)
    (tmp_path / "many.zip").write_bytes(data)
    tracemalloc.start()
    try:
        assert rejected(tmp_path / "many.zip" if on_disk else data) == "too_many_entries"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert rejected(directory_of(1_001)) == "too_many_entries"


def test_entries_on_the_same_bytes_are_a_bomb_whatever_they_announce():
    data = zips.archive([("aaa.json", b" " * 9_000)])
    at, end = central(data), data.index(b"PK\x05\x06")
    entry = data[at:end]
    directory = b"".join(entry.replace(b"aaa.json", b"%03d.json" % number) for number in range(900))
    tail = struct.pack("<4H2LH", 0, 0, 900, 900, len(directory), at, 0)
    shared = data[:at] + directory + b"PK\x05\x06" + tail
    assert rejected(shared) == "overlap"
    assert rejected(shared, ArchiveLimits(ratio_from=1_000)) == "bomb", "the ratio is that of the bytes that are there"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_method_rejects_the_entry_only(method):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("odd.json", b"{}", method)
        opened.writestr("good.json", b"{}", zipfile.ZIP_STORED)
    assert taken(made.getvalue()) == (["good.json"], {"odd.json": "method"}, [])


def test_zip64_is_read():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened, opened.open("a.json", "w", force_zip64=True) as file:
        file.write(b"{}")
    assert taken(made.getvalue()) == (["a.json"], {}, [])


def test_an_archive_inside_is_a_file_like_any_other():
    inside = zips.archive([("a.json", b"{}")])
    for _ in range(20):
        inside = zips.archive([("inner.zip", inside)])
    assert taken(inside) == (["inner.zip"], {}, [])


def test_a_long_path_rejects_the_entry_and_is_not_kept_whole():
    paths, refused, _ = taken(zips.archive([("x" * 60_000 + ".json", b"{}"), ("good.json", b"{}")]))
    assert paths == ["good.json"]
    ((name, keyword),) = refused.items()
    assert (keyword, len(name)) == ("path", 219)
    assert taken(zips.archive([("é" * 512, b"{}")])) == (["é" * 512], {}, [])
    assert taken(zips.archive([("é" * 513, b"{}")]))[0] == []


@pytest.mark.parametrize("letter", ["\x1b", "\n", "\x7f", "\x01"])
def test_a_path_that_would_steer_a_terminal_is_refused_and_not_shown_as_it_is(letter):
    paths, refused, _ = taken(zips.archive([(f"a{letter}b.json", b"{}"), ("good.json", b"{}")]))
    assert paths == ["good.json"]
    assert refused == {f"a%{ord(letter):02X}b.json": "path"}


def test_a_name_that_is_not_utf8_although_it_says_so():
    data = zips.archive([("é.json", b"{}")]).replace("é".encode(), b"\xff\xfe")
    with pytest.raises(ArchiveRejected, match="not UTF-8") as caught, open_archive(data):
        pass
    assert caught.value.fault.keyword == "path"


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, 0x20), (8, 0x40), (6, 99), (20, 3), (42, 10**9), (24, 1), (10, 7), (12, 0xFFFF), (34, 5)],
)
def test_a_directory_that_lies_is_a_fault_of_its_archive_or_file(at, value):
    data = bytearray(zips.archive([("a.json", b"[1, 2, 3]"), ("b.json", b"{}")]))
    size = 4 if at in (20, 24, 42) else 2
    start = central(data) + at
    data[start : start + size] = value.to_bytes(size, "little")
    try:
        with open_archive(bytes(data)) as archive:
            for entry in archive.entries:
                with suppress(FileRejected):
                    archive.read(entry)
    except ArchiveRejected:
        pass


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_bytes_that_are_changed_anywhere_are_a_fault_of_the_archive_or_file(place, noise):
    data = bytearray(GOOD)
    data[place % len(GOOD) : place % len(GOOD) + len(noise)] = noise
    with suppress(ArchiveRejected, FileRejected), open_archive(bytes(data)) as archive:
        for entry in archive.entries:
            archive.read(entry)


def test_a_file_too_large_to_parse_at_once_is_said_to_be():
    with open_archive(zips.archive([("a.json", b"[1, 2, 3]")])) as archive:
        with pytest.raises(FileRejected) as caught:
            archive.read(archive.entries[0], most=8)
        assert caught.value.fault.keyword == "too_large"
        assert archive.read(archive.entries[0], most=9)


def test_an_archive_too_large_to_be_opened_is_said_to_be(tmp_path):
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(MAX_ARCHIVE_BYTES + 1)
    assert rejected(tmp_path / "large.zip") == "too_large"
