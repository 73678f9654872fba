"""Withdrawals: nothing of who withdrew is left in any file, now or when their archives come again."""

import hashlib
import json
import re
import shutil
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable
from tests.support.ingest import Folder, deliver, ingest, quarantined, state_of, tables_of
from tests.support.ingest_tables import cells, of_truth

from carrel.ingest.cli import ingest as commands
from carrel.ingest.operations.copies import copy_dataset
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.search import _CHUNK, AT_ONCE, Search, WholeValues
from carrel.ingest.operations.withdrawal import preview_withdrawal, withdraw
from carrel.ingest.run import IngestOptions
from carrel.ingest.store import coordinator_lock, open_storage
from carrel.synthetic import Knobs, write

KNOBS = Knobs(seed=8, records=20, participants=4, hz=2, seconds=1, faults={"nan": 3, "truncated_zip": 2}, reexports=0.3)


@pytest.fixture
def study(tmp_path):
    truth = write(KNOBS, tmp_path / "study")
    ingest(tmp_path / "warehouse", Folder(tmp_path / "study" / "archives"))
    return tmp_path / "study" / "archives", tmp_path / "warehouse", truth


def metadata(archives):
    return {path.stem: json.loads(path.read_text()) for path in archives.glob("*.json")}


def test_a_participant_leaves_every_file(study):
    archives, warehouse, truth = study
    about = metadata(archives)
    person = about[next(name for name in sorted(about) if truth["archives"][name]["disposition"] == "unreadable")]
    gone = {each["recordid"] for each in about.values() if each["healthcode"] == person["healthcode"]}
    copy_dataset(str(warehouse), "MotionRecord_v1")
    proof = withdraw(str(warehouse), healthcodes=[person["healthcode"]])
    assert (proof.holding, proof.records) == ((), len(gone))
    assert proof.rows > 0
    for code in [person["healthcode"], *gone]:
        assert not found_in(warehouse, code)
    for table in truth["tables"].values():
        table["rows"] = [row for row in table["rows"] if row["recordid"] not in gone]
    left = {name: table for name, table in of_truth(truth["tables"]).items() if table["rows"]}
    got = cells(tables_of(warehouse))
    assert {name: table["rows"] for name, table in got.items()} == {name: table["rows"] for name, table in left.items()}


def found_in(warehouse, code):
    """By other means than the proof's: every column of every file as text."""
    hits = []
    for path in warehouse.rglob("*"):
        if path.suffix == ".parquet":
            rows = pq.read_table(path)
            texts = "\n".join(str(column.to_pylist()) for column in rows.columns)
            hits += [path] if code in texts else []
        elif path.is_file() and code.encode() in path.read_bytes():
            hits.append(path)
    return hits


def test_archives_of_who_withdrew_are_never_taken_again(study, tmp_path):
    archives, warehouse, _ = study
    about = metadata(archives)
    name, person = sorted(about.items())[0]
    withdraw(str(warehouse), record_ids=[person["recordid"]])
    assert ingest(warehouse, Folder(archives)).run_id is None
    again = json.dumps({**person, "exportedon": "2030-01-01T00:00:00.000Z"})
    (archives / f"{name}.json").write_text(again)
    report = ingest(warehouse, Folder(archives))
    assert report.dispositions == {"withdrawn": 1}
    assert not found_in(warehouse, person["recordid"])
    assert reconcile(open_storage(str(warehouse)), Folder(archives).list()).is_sound


def test_a_proof_that_fails_says_where(study):
    archives, warehouse, _ = study
    person = next(iter(metadata(archives).values()))
    (warehouse / "notes.txt").write_text(f"call {person['healthcode']}")
    stray = pa.table({"who": [person["healthcode"]]})
    pq.write_table(stray, warehouse / "stray.parquet")
    proof = withdraw(str(warehouse), healthcodes=[person["healthcode"]])
    assert set(proof.holding) == {"notes.txt", "stray.parquet"}
    assert "STILL FOUND" in proof.text()


def test_somebody_unknown_can_withdraw_beforehand(study, tmp_path):
    archives, _, _ = study
    about = metadata(archives)
    code = next(iter(about.values()))["healthcode"]
    warehouse = tmp_path / "other"
    proof = withdraw(str(warehouse), healthcodes=[code])
    assert (proof.records, proof.rows, proof.holding) == (0, 0, ())
    assert f"healthcode {hashlib.sha256(code.encode()).hexdigest()}  no record: none is known" in proof.text()
    report = ingest(warehouse, Folder(archives))
    hers = [name for name, each in about.items() if each["healthcode"] == code]
    assert report.dispositions["withdrawn"] == len(hers)
    assert not set(hers) & set(quarantined(warehouse))


def test_the_proof_counts_what_can_be_counted_again(study):
    archives, warehouse, truth = study
    about = metadata(archives)
    code = next(iter(about.values()))["healthcode"]
    hers = {name for name, each in about.items() if each["healthcode"] == code}
    records = {about[name]["recordid"] for name in hers}
    before = {name: DeltaTable(str(warehouse / "tables" / name)) for name in truth["tables"]}
    counts = {name: rows_of(table, records) for name, table in before.items()}
    quarantined_before = sum(len(lines) for name, lines in quarantined(warehouse).items() if name in hers)
    proof = withdraw(str(warehouse), healthcodes=[code])
    found = {each.table: each for each in proof.removed.tables}
    assert {name: each.rows for name, each in found.items() if not name.startswith("_")} == {
        name: count for name, count in counts.items() if count
    }
    assert (found["_ledger"].rows, proof.removed.archives) == (len(hers), len(hers))
    assert found["_quarantine"].rows == quarantined_before > 0
    for name, each in found.items():
        if name in before and before[name].version() < each.before:
            with pytest.raises(OSError, match=r"(?i)no such file|not found"):
                before[name].to_pyarrow_table()
    text = proof.text()
    assert code not in text
    assert not any(record in text for record in records)
    for name, count in counts.items():
        assert not count or re.search(rf"^  {name} +{count} ", text, re.MULTILINE)


def rows_of(table, records):
    return sum(each in records for each in table.to_pyarrow_table().column("recordid").to_pylist())


def test_a_repeated_withdrawal_changes_nothing_and_proves_the_same(study):
    archives, warehouse, _ = study
    code = next(iter(metadata(archives).values()))["healthcode"]
    first = withdraw(str(warehouse), healthcodes=[code])
    before, files = state_of(warehouse), data_files(warehouse)
    again = withdraw(str(warehouse), healthcodes=[code])
    assert (again.removed, again.earlier, again.asked) == (None, (first.removed,), first.asked)
    assert set(first.removed.lines()) <= set(again.text().splitlines())
    assert "now there was nothing left to remove" in again.text()
    assert (state_of(warehouse), data_files(warehouse)) == (before, files)
    assert withdraw(str(warehouse), healthcodes=[code]).earlier == again.earlier


def data_files(warehouse):
    return {path for path in warehouse.rglob("*.parquet") if "_runs" not in path.parts}


def test_rows_that_only_earlier_versions_have_go_too(tmp_path):
    """A correction took the rows out of a table; the file that it replaced is still there for time travel."""
    warehouse, archives = tmp_path / "w", tmp_path / "a"
    archives.mkdir()
    deliver(archives, "1", "record-one", {"a": 1, "l": ["only in the first"]})
    deliver(archives, "2", "record-two", {"a": 2, "l": ["somebody else"]})
    ingest(warehouse, Folder(archives))
    deliver(archives, "3", "record-one", {"a": 1}, day=2)
    ingest(warehouse, Folder(archives))
    assert found_in(warehouse, "only in the first")
    proof = withdraw(str(warehouse), record_ids=["record-one"])
    assert proof.holding == ()
    assert not found_in(warehouse, "only in the first")
    assert not found_in(warehouse, "record-one")
    assert [each.rows for each in proof.removed.tables if each.table == "Anything_v1__l"] == [0]
    assert found_in(warehouse, "somebody else")


def test_files_that_no_log_names_go_too(tmp_path):
    """As a killed worker of a cluster may leave them, after its run was swept."""
    warehouse, archives = tmp_path / "w", tmp_path / "a"
    archives.mkdir()
    deliver(archives, "1", "record-one", {"a": 1})
    ingest(warehouse, Folder(archives))
    (file,) = (warehouse / "tables" / "Anything_v1").glob("*.parquet")
    for folder in (file.parent, warehouse / "archive" / "Anything_v1_1" / "Anything_v1"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "part-r00000000-late.parquet")
    assert withdraw(str(warehouse), record_ids=["record-one"]).holding == ()
    assert not found_in(warehouse, "record-one")


def test_an_archive_that_could_not_be_read_is_known_by_its_address(tmp_path):
    warehouse, archives = tmp_path / "w", tmp_path / "a"
    archives.mkdir()
    for name in ("record-one-77f0", "record-oneself"):
        (archives / f"{name}.zip").write_bytes(b"no zip")
        (archives / f"{name}.json").write_text("{}")
    ingest(warehouse, Folder(archives))
    assert withdraw(str(warehouse), record_ids=["record-one"]).removed.archives == 1
    assert set(quarantined(warehouse)) == {"record-oneself"}
    assert ingest(warehouse, Folder(archives)).run_id is None


@pytest.mark.parametrize(
    "code", ["plain", "with space", 'with "quotes" and \\', "ümläut/slash", "a.b*c", "日本語", "x" * 300]
)
def test_the_search_finds_codes_however_they_are_written(code, tmp_path):
    storage = open_storage(str(tmp_path))
    deep = pa.array([[{"m": [("key", f"<{code}>")]}]], pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.string()))])))
    pq.write_table(pa.table({"deep": deep}), tmp_path / "deep.parquet")
    pq.write_table(pa.table({"d": pa.array([code, None]).dictionary_encode()}), tmp_path / "dictionary.parquet")
    pq.write_table(pa.table({"b": pa.array([code.encode()])}), tmp_path / "bytes.parquet")
    pq.write_table(pa.table({code: [1]}), tmp_path / "name.parquet")
    (tmp_path / "json.json").write_text(json.dumps({"who": code}))
    (tmp_path / "url.txt").write_text(f"s3://bucket/{quote(code)}")
    (tmp_path / "long.txt").write_bytes(b"." * (_CHUNK - 3) + code.encode() + b"." * 100)
    others = set(tmp_path.iterdir())
    pq.write_table(pa.table({"n": [1, 2], "t": ["axb", None]}), tmp_path / "innocent.parquet")
    (tmp_path / "innocent.txt").write_bytes(b"\xff\x00 nothing")
    assert {tmp_path / key for key in Search(storage, [code]).run().holding} == others


def test_the_search_names_just_the_files_that_hold_one_of_many_codes(tmp_path):
    """More codes than one pattern has, and more text than is looked through at once."""
    storage = open_storage(str(tmp_path))
    codes = [f"code-{number:04d}-z" for number in range(AT_ONCE * 2 + 50)]
    guilty = {0: codes[0], 7: codes[AT_ONCE], 8: codes[-1], 29: codes[-1]}
    for number in range(30):
        texts = [f"code-{number:04d}-y{row:06d}" + "." * 20 for row in range(10_000)]
        texts[9_999] += guilty.get(number, "")
        place = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"t": pa.array(texts), "n": pa.array(range(10_000))}), place)
        (tmp_path / f"{number}.json").write_text(json.dumps({"who": guilty.get(number + 20, "nobody")}))
    expected = {f"{number}.parquet" for number in guilty} | {"9.json"}
    found = Search(storage, codes).run()
    assert set(found.holding) == expected
    assert (found.files, found.cells) == (60, 300_000)


def stands(text, codes=("rec1",), others=("rec1-b", "a_rec1")):
    values = WholeValues(codes, others)
    found = values.standing_in(pa.chunked_array([pa.array([text, None])])).to_pylist()
    assert found[1] is False
    assert values.are_in(pa.array([text])) is found[0]
    return found[0]


@pytest.mark.parametrize(
    "text",
    [
        "rec1", '{"id":"rec1"}', '["rec0","rec1","rec2"]', '{"rec1":1}', r'{"n":"line\nrec1"}', r'{"n":"\u000arec1"}',
        "s3://bucket/study/rec1-77f0aa.zip", "file:///a%20b/x%2Frec1%2Fy.zip", "dataset=x/rec1.ndjson",
        "rec1.a.json.ndjson", "_rec1_", "rec10 rec1 rec100", "rec1-b,rec1", "rec1 a_rec1", "rec1-c", "\t rec1\r\n",
        "日rec1日", r'"{\"id\":\"rec1\"}"',
    ],
)  # fmt: skip
def test_a_whole_value_is_found_wherever_it_stands(text):
    assert stands(text)


@pytest.mark.parametrize(
    "text",
    ["rec10", "xrec1", "REC1", "rec", "1rec1", "rec1rec1", "rec1-b", "x/rec1-b/a_rec1.zip", '{"a_rec1":"rec10"}', ""],
)
def test_a_part_of_another_value_is_not_a_code(text):
    assert not stands(text)


@pytest.mark.parametrize("code", ["_0abc", ".x", "a-b", 'q"x', "a b", "ümlä/ut", "日本", "a%b"])
def test_a_code_is_found_as_json_and_urls_write_it_once_and_twice(code):
    once = [json.dumps(code), json.dumps(code, ensure_ascii=False), quote(code), quote(code, safe="")]
    twice = [*map(json.dumps, once), *(quote(each, safe="") for each in once[2:])]
    for text in [*once, *twice, quote(code).replace("%C3%BC", "%c3%bc").replace("%C3%A4", "%c3%a4")]:
        assert stands(f"<{text}>", [code], [])


@pytest.mark.parametrize("cut", range(-9, 10, 2))
def test_a_cut_between_two_chunks_neither_hides_a_code_nor_makes_one(cut, tmp_path):
    """Whatever the chunks' border falls into: the code, what stands before it, or another value that it is part of."""
    storage = open_storage(str(tmp_path))
    for name, text in {"a": r"\nrec1 ", "b": "rec1", "c": "-rec10-", "d": "xrec1,", "e": "/rec1-b/"}.items():
        (tmp_path / name).write_text("." * (_CHUNK + cut - len(text) // 2) + text + "." * 50)
    assert Search(storage, ["rec1"], ["rec1-b"]).run().holding == ["a", "b"]


@pytest.fixture
def neighbours(tmp_path):
    """Records whose ids hold one another, in tables, raw JSON, quarantine and archives that cannot be read."""
    archives, warehouse = tmp_path / "a", tmp_path / "w"
    archives.mkdir()
    for number, record in enumerate(("rec1", "rec10", "rec1-b", "0rec1", "rec2")):
        deliver(
            archives, f"{record}-77{number}", record, {"a": number, "l": [f"about {record}"], "who": {"id": record}}
        )
        (archives / f"{record}-broken{number}.zip").write_bytes(b"no zip %d" % number)
        (archives / f"{record}-broken{number}.json").write_text("{}")
    ingest(warehouse, Folder(archives), options=IngestOptions(raw_json=True))
    return archives, warehouse


def test_a_record_leaves_and_those_whose_ids_hold_its_id_stay(neighbours):
    archives, warehouse = neighbours
    before = tables_of(warehouse)["Anything_v1"].num_rows
    proof = withdraw(str(warehouse), record_ids=["rec1"])
    assert proof.holding == ()
    assert tables_of(warehouse)["Anything_v1"].num_rows == before - 1
    left = {name.rpartition("-")[0] for name in quarantined(warehouse) if "broken" in name}
    assert left == {"rec10", "rec1-b", "0rec1", "rec2"}
    raw = {path.name for path in (warehouse / "raw_json").rglob("*.ndjson") if "dataset=Anything" in str(path)}
    assert raw == {"rec10.ndjson", "rec1-b.ndjson", "0rec1.ndjson", "rec2.ndjson"}
    assert ingest(warehouse, Folder(archives)).run_id is None


def test_what_holds_the_whole_value_is_named_beside_what_only_seems_to(neighbours):
    _, warehouse = neighbours
    (warehouse / "note.json").write_text(json.dumps({"rec1": "rec10"}))
    (warehouse / "innocent.json").write_text(json.dumps({"rec10": ["rec1-b", "0rec1"]}))
    (warehouse / "rec1").mkdir()
    (warehouse / "rec1" / "x").write_text("")
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"about": "rec1"}), warehouse / "about.parquet")
    pq.write_table(pa.table({"s": [{"rec1": 1}]}), warehouse / "key.parquet")
    proof = withdraw(str(warehouse), record_ids=["rec1"])
    assert set(proof.holding) == {"note.json", "rec1/x", "about.parquet", "key.parquet"}


def test_what_would_be_removed_is_what_is_removed(study):
    archives, warehouse, _ = study
    copy_dataset(str(warehouse), "MotionRecord_v1")
    code = next(iter(metadata(archives).values()))["healthcode"]
    with coordinator_lock(open_storage(str(warehouse))):
        before = {path: path.read_bytes() for path in warehouse.rglob("*") if path.is_file()}
        foreseen = preview_withdrawal(str(warehouse), healthcodes=[code, "nobody"], record_ids=["no record"])
        assert {path: path.read_bytes() for path in warehouse.rglob("*") if path.is_file()} == before
    removed = withdraw(str(warehouse), healthcodes=[code]).removed
    assert list(foreseen.removal.counts()) == list(removed.counts())
    assert foreseen.removal.archives == removed.archives
    assert foreseen.unknown == ("no record", "nobody")
    again = preview_withdrawal(str(warehouse), healthcodes=[code])
    assert (again.withdrawn, again.unknown, again.removal.tables) == ((code,), (), ())


def test_an_archive_that_is_known_by_its_address_alone_is_known(neighbours):
    archives, warehouse = neighbours
    (archives / "rec7-1.zip").write_bytes(b"no zip either")
    (archives / "rec7-1.json").write_text("{}")
    ingest(warehouse, Folder(archives))
    foreseen = preview_withdrawal(str(warehouse), record_ids=["rec7", "rec8"])
    assert (foreseen.unknown, foreseen.removal.archives) == (("rec8",), 1)


def test_the_command_says_what_goes_and_names_codes_that_nobody_knows(neighbours):
    _, warehouse = neighbours

    def told(*words, answer=None):
        done = CliRunner().invoke(commands, ["withdraw", *words, "--warehouse", str(warehouse)], input=answer)
        return done.exit_code, done.output

    state = state_of(warehouse)
    code, text = told("--record", "rec1", "--dry-run")
    assert code == 0
    assert re.search(r"^  Anything_v1 +1 ", text, re.MULTILINE)
    assert re.search(r"raw JSON: \d files?", text)
    code, text = told("--record", "rec1", "--healthcode", "of rec11", "--dry-run")
    assert (code, "NOT KNOWN HERE: of rec11" in text) == (3, True)
    code, text = told("--record", "rec1", answer="n\n")
    assert code == 1
    assert text.index("Anything_v1") < text.index("for good?")
    assert state_of(warehouse) == state
    code, text = told("--record", "rec1", "--record", "rec11", "--yes")
    assert code == 0
    assert text.index("To be removed") < text.index("NOT KNOWN HERE: rec11") < text.index("Withdrawal r")
