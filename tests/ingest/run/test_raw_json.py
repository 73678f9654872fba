"""`--raw-json`: each file that is taken also lies under `raw_json/`, as BridgeDownstream has it, while its rows do."""

import json
import zipfile
from collections import Counter
from dataclasses import replace

import duckdb
import pytest
from tests.support.ingest import MAPPING, Folder, ingest, raw_json_of, schemas, state_of, tables_of
from tests.support.ingest_archives import archive

from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions, Setting, inline, processes
from carrel.ingest.store import open_storage
from carrel.ingest.store.ledger import Ledger
from carrel.synthetic import FAULTS, Knobs, write
from carrel.synthetic.shapes import ANYTHING

KNOBS = Knobs(
    seed=6, records=50, faults=dict.fromkeys(FAULTS, 1), reexports=0.4, duplicates=0.3, odd_keys=0.5, nulls=0.3, hz=5
)
RAW = IngestOptions(raw_json=True)
MAPPED = MAPPING + "ignored: {metadata.json: not here}\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture(scope="module")
def plain(study, tmp_path_factory):
    warehouse = tmp_path_factory.mktemp("plain")
    ingest(warehouse, Folder(study[0]), options=RAW)
    return warehouse


def wanted(archives, warehouse):
    """By hand: what stands in the archives that the tables' rows come from, with the fields that the contract adds."""
    made = {}
    for dataset in (name for name in tables_of(warehouse) if "__" not in name):
        rows = tables_of(warehouse)[dataset].to_pylist()
        for row in rows:
            name = row["_archive_uri"].removeprefix("folder:").removesuffix(".zip")
            with zipfile.ZipFile(archives / f"{name}.zip") as opened:
                value = json.loads(opened.read(row["_source_file"]))
            about = json.loads((archives / f"{name}.json").read_text())
            date = {key: row[key] for key in ("year", "month", "day")}
            added = {"assessmentid": row["assessmentid"], **date, "recordid": row["recordid"]}
            if dataset == "ArchiveMetadata_v1":
                added = {**date, **{key.lower(): text(each) for key, each in about.items()}}
            place = dataset, row["assessmentid"], *date.values(), row["recordid"], row["_source_file"]
            made[place] = [with_fields(each, added) for each in value] if isinstance(value, list) else value | added
    return made


def with_fields(element, added):
    return element | added if isinstance(element, dict) else element


def recordings(archives, warehouse):
    """Files of archives that have several of one dataset (left and right, walk and balance), taken or not."""
    found = {}
    for dataset, end in (("MotionRecord_v1", "motion.json"), ("TappingResultObject_v1", "tapping")):
        for row in tables_of(warehouse)[dataset].select(["recordid", "_archive_uri"]).to_pylist():
            with zipfile.ZipFile(archives / f"{row['_archive_uri'].removeprefix('folder:')}") as opened:
                names = Counter(each.filename for each in opened.infolist() if ".." not in each.filename)
            files = {name for name, count in names.items() if count == 1 and name.endswith(end)}
            if len(files) > 1:
                found[dataset, row["recordid"]] = files
    return found


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def keyed(made, shared):
    """The keys as the contract writes them; with the file's name where a record has several files of a dataset."""
    keys = {}
    for place, value in made.items():
        dataset, assessment, year, month, day, record, file = place
        several = file in shared.get((dataset, record), ())
        name = f"{'0' if record[0] in '_.' else ''}{record}{f'.{file}'.replace('/', '%2F') if several else ''}.ndjson"
        folder = f"dataset={dataset}/assessmentid={assessment}/year={year}/month={month}/day={day}"
        keys[f"{folder}/{name}"] = value
    return keys


def test_raw_json_is_what_stands_in_the_archives_of_the_rows(study, plain):
    found = raw_json_of(plain)
    want = keyed(wanted(study[0], plain), recordings(study[0], plain))
    empty = {key for key, value in found.items() if value == []}
    assert set(found) - empty == set(want)
    assert {key: value for key, value in found.items() if key not in empty} == want
    assert len(want) > 50


def test_an_independent_reader_finds_the_rows(plain):
    pattern = f"{plain}/raw_json/dataset=MotionRecord_v1/*/*/*/*/*.ndjson"
    sql = f"select count(*), count(distinct recordid) from read_json('{pattern}', format='array', union_by_name=true)"
    rows = tables_of(plain)["MotionRecord_v1"]
    assert duckdb.sql(sql).fetchall() == [(rows.num_rows, len(rows["recordid"].unique()))]


def test_the_tables_are_the_same_without(study, plain, tmp_path):
    ingest(tmp_path, Folder(study[0]))
    without = state_of(tmp_path)
    assert without.pop("raw_json") == {}
    assert {key: value for key, value in state_of(plain).items() if key != "raw_json"} == without
    assert not (tmp_path / "raw_json").exists()


@pytest.mark.parametrize(
    ("pool", "options"),
    [
        (inline(), IngestOptions(batch_archives=1, raw_json=True)),
        (processes(2), IngestOptions(batch_archives=9, stream_from=500, raw_json=True)),
    ],
    ids=["one by one", "two processes, streamed"],
)
def test_batches_workers_and_streaming_do_not_show(study, plain, tmp_path, pool, options):
    ingest(tmp_path, Folder(study[0]), pool, options)
    assert raw_json_of(tmp_path) == raw_json_of(plain)


def test_nothing_is_left_of_the_packs_and_no_plan_names_a_record(study, plain):
    records = {line.entry.record_id for line in Ledger(open_storage(str(plain))).lines()} - {None}
    others = [path for path in (plain / "_runs").rglob("*") if path.is_file()]
    assert not list(plain.glob("_runs/*/raw/*"))
    assert not any(record.encode() in path.read_bytes() for path in others for record in records)


@pytest.fixture
def archives(tmp_path):
    """Make an archive of one record: `archives(name, record, {file: JSON})`."""
    folder = tmp_path / "archives"

    def make(name, record="r1", files=None, exported=1, **metadata):
        archive(folder, name, record, files, exported, **metadata)

    make.folder = folder
    return make


def take(tmp_path, archives, options=RAW, mapping=MAPPED, **more):
    setting = Setting(
        warehouse=str(tmp_path / "warehouse"),
        source=Folder(archives.folder),
        schemas=schemas(mapping),
        pool=inline(),
        options=options,
    )
    return run(replace(setting, **more))


def names(tmp_path):
    return {key.rpartition("/")[2]: value for key, value in raw_json_of(tmp_path / "warehouse").items()}


def values(tmp_path):
    made = names(tmp_path)
    return {
        name: [each["a"] for each in (value if isinstance(value, list) else [value])] for name, value in made.items()
    }


def test_a_later_export_replaces_and_moves(archives, tmp_path):
    archives("one", files={"anything.json": {"a": 1}, "left/anything.json": {"a": 2}})
    archives("other", "r2", {"anything.json": [{"a": 5}, {"a": 6}]})
    take(tmp_path, archives)
    assert values(tmp_path) == {
        "r1.anything.json.ndjson": [1],
        "r1.left%2Fanything.json.ndjson": [2],
        "r2.ndjson": [5, 6],
    }
    archives("two", files={"anything.json": {"a": 3}}, exported=2, uploadedon="2024-10-11T00:00:00Z")
    report = take(tmp_path, archives, IngestOptions())
    assert values(tmp_path) == {"r1.ndjson": [3], "r2.ndjson": [5, 6]}, "every run keeps raw JSON, once one did"
    assert report.raw_json == {"written": 1, "deleted": 2}
    (moved,) = (tmp_path / "warehouse").glob("raw_json/**/r1.ndjson")
    assert "assessmentid=any/year=2024/month=10/day=11" in str(moved)


def test_archives_from_before_get_theirs_by_a_replay(archives, tmp_path):
    archives("one", files={"anything.json": {"a": 1}})
    take(tmp_path, archives, IngestOptions())
    assert names(tmp_path) == {}
    take(tmp_path, archives, replay=lambda ref: True)
    assert values(tmp_path) == {"r1.ndjson": [1]}
    before = state_of(tmp_path / "warehouse")
    take(tmp_path, archives, replay=lambda ref: True)
    assert state_of(tmp_path / "warehouse") == before
    unknown = MAPPED.replace(ANYTHING, "https://example.org/other.json")
    take(tmp_path, archives, mapping=unknown, replay=lambda ref: True)
    assert names(tmp_path) == {}, "its rows are gone too"


def test_files_that_are_refused_are_not_there(archives, tmp_path):
    archives(
        "one", files={"anything.json": {"a": 1}, "left/anything.json": "{", "right/anything.json": '{"a": "\\ud800"}'}
    )
    take(tmp_path, archives)
    assert values(tmp_path) == {"r1.anything.json.ndjson": [1]}, "its name tells that it was one of several"
    whole = tmp_path / "whole"
    whole.mkdir()
    take(whole, archives, IngestOptions(raw_json=True, reject_records=True))
    assert names(whole) == {}


@pytest.mark.parametrize("policy", ["quarantine", "freeze"])
def test_files_that_only_the_whole_run_refuses_are_not_there(archives, tmp_path, policy):
    for number in range(3):
        archives(f"n{number}", f"r{number}", {"anything.json": {"a": number}})
    archives("t", "rt", {"anything.json": {"a": "text"}})
    mapping = MAPPED + f"datasets: {{Anything_v1: {{policy: {policy}}}}}\n"
    take(tmp_path, archives, IngestOptions(batch_archives=1, raw_json=True), mapping)
    assert set(names(tmp_path)) == {"r0.ndjson", "r1.ndjson", "r2.ndjson"}


def test_values_are_exact(archives, tmp_path):
    value = '{"a": 18446744073709551616, "f": 1e22, "t": "é\\n", "none": null, "year": "mine", "l": [[], {}]}'
    archives("one", files={"anything.json": value})
    take(tmp_path, archives)
    added = {"assessmentid": "any", "year": 2024, "month": 3, "day": 9, "recordid": "r1"}
    assert names(tmp_path) == {"r1.ndjson": {**json.loads(value), **added}}


def test_elements_that_are_no_objects_stay_as_they_are(archives, tmp_path):
    archives("one", files={"anything.json": [1, None, {"a": 1}]})
    take(tmp_path, archives)
    one, none, told = names(tmp_path)["r1.ndjson"]
    assert (one, none, told["recordid"]) == (1, None, "r1")


LONG = "a" * 22
STRANGE = [
    f"_{LONG}",
    f"0_{LONG}",
    f"_0{LONG}",
    f".{LONG}",
    f"0.{LONG}",
    "_a",
    "0_a",
    ".a",
    "0.a",
    "0",
    "a",
    "a.b",
    "a-b",
    "../../../escaped",
    "a/b",
    "é",
    "x" * 300,
    "x" * 301,
]


def test_no_two_records_have_one_name_and_none_leaves_the_folder(archives, tmp_path):
    for number, record in enumerate(STRANGE):
        about = {"assessmentid": "../.." if number % 2 else "any"}
        archives(f"n{number}", record, {"anything.json": {"a": number}, "b/anything.json": {"a": -number}}, **about)
    take(tmp_path, archives)
    found = raw_json_of(tmp_path / "warehouse")
    assert len(found) == 2 * len(STRANGE)
    assert {value["recordid"] for value in found.values()} == set(STRANGE)
    assert not list(tmp_path.rglob("*escaped*.ndjson")) or all("%2Fescaped" in key for key in found if "escaped" in key)
    assert len(list(tmp_path.rglob("*.ndjson"))) == len(found)


@pytest.mark.parametrize("gone", STRANGE)
def test_a_withdrawal_takes_the_records_files_and_no_others(archives, tmp_path, gone):
    for number, record in enumerate(STRANGE):
        archives(f"n{number}", record, {"anything.json": {"a": number}})
    take(tmp_path, archives)
    proof = withdraw(str(tmp_path / "warehouse"), record_ids=[gone])
    left = raw_json_of(tmp_path / "warehouse")
    assert {value["recordid"] for value in left.values()} == set(STRANGE) - {gone}
    assert not proof.holding or any(gone in text for text in [*left, *STRANGE] if text != gone)


def test_a_withdrawal_of_a_person_takes_theirs(study, tmp_path):
    ingest(tmp_path, Folder(study[0]), options=RAW)
    about = [json.loads(path.read_text()) for path in sorted(study[0].glob("*.json"))]
    person = about[0]["healthcode"]
    hers = {each["recordid"] for each in about if each["healthcode"] == person}
    before = raw_json_of(tmp_path)
    proof = withdraw(str(tmp_path), healthcodes=[person])
    assert proof.holding == ()
    gone = {key for key in before if any(key.rpartition("/")[2].startswith(f"{each}.") for each in named(hers))}
    assert gone
    assert raw_json_of(tmp_path) == {key: value for key, value in before.items() if key not in gone}


def named(records):
    return {f"0{each}" if each[0] in "_." else each for each in records}


def test_reconciliation_finds_what_somebody_changed(archives, tmp_path):
    for number in range(2):
        archives(f"n{number}", f"r{number}", {"anything.json": {"a": number}})
    take(tmp_path, archives)
    archives("again", "r1", {"anything.json": {"a": 9}}, exported=3, uploadedon="2024-05-05T00:00:00Z")
    take(tmp_path, archives)
    storage, listed = open_storage(str(tmp_path / "warehouse")), list(Folder(archives.folder).list())
    assert reconcile(storage, listed).is_sound
    (lost,) = (tmp_path / "warehouse").rglob("r0.ndjson")
    lost.rename(lost.with_name("stray.ndjson"))
    found = reconcile(storage, listed)
    assert [(each.kind, each.record_id) for each in found.findings] == [
        ("raw_json_missing", "r0"), ("raw_json_extra", None),
    ]  # fmt: skip
    assert not found.is_sound
    lost.with_name("stray.ndjson").unlink()
    take(tmp_path, archives, replay=lambda ref: True)
    assert reconcile(storage, listed).is_sound


def test_compaction_leaves_it(archives, tmp_path):
    for number in range(3):
        archives(f"n{number}", f"r{number}", {"anything.json": {"a": number}})
        take(tmp_path, archives)
    before = state_of(tmp_path / "warehouse")
    compact(str(tmp_path / "warehouse"), vacuum_hours=0)
    assert state_of(tmp_path / "warehouse") == before
    archives("again", "r1", {"anything.json": {"a": 9}}, exported=3)
    take(tmp_path, archives)
    assert values(tmp_path) == {"r0.ndjson": [0], "r1.ndjson": [9], "r2.ndjson": [2]}
