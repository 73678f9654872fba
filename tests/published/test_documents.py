"""What the published archive map and schemas (mobile-client-json v4.7.2) say, and that ours stand in for them."""

import pytest
from tests.support.ingest import MAPPING, Folder, dispositions_of, expected, quarantined
from tests.support.published import published

from carrel.ingest.archives import record_of
from carrel.ingest.mapping import load, loads
from carrel.ingest.mapping_checks import check_mapping
from carrel.ingest.operations.ingestion import run
from carrel.ingest.run import IngestOptions, Setting, inline
from carrel.ingest.schemas import Resolver, Schemas, SchemaStore
from carrel.ingest.tables import declared_kinds
from carrel.synthetic import FAULTS, SCHEMAS, Knobs, write
from carrel.synthetic.shapes import AUDIO, BASE, MOTION, SURVEY, TAPPING, WEATHER
from carrel.synthetic.study import DECLARED


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = SchemaStore(tmp_path_factory.mktemp("store"))
    changes = {stored.change for stored in store.add([published()])}
    assert changes == {"added", "shadowed"}
    store.add([SCHEMAS / "taskData.json", SCHEMAS / "anything.json"])
    return store


@pytest.fixture(scope="module")
def library(store):
    return store.library()


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    store = SchemaStore(tmp_path_factory.mktemp("ours"))
    store.add([SCHEMAS])
    return store.library()


def test_every_schema_can_be_read(library):
    documents = {uri: library.document(uri) for uri in library.hashes}
    assert len(documents) > 50
    for document in documents.values():
        for kinds in declared_kinds("D", document, documents).values():
            assert set(kinds.values()) <= {"bool", "int64", "float64", "string"}


DATASETS = {
    "MotionRecord_v1": MOTION,
    "AudioLevelRecord_v1": AUDIO,
    "WeatherResult_v1": WEATHER,
    "TappingResultObject_v1": TAPPING,
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_truth_of_the_generator_has_the_types_they_declare(library, dataset):
    documents = {uri: library.document(uri) for uri in library.hashes}
    found = declared_kinds(dataset, documents[DATASETS[dataset]], documents)
    for table, kinds in DECLARED.items():
        if table.split("__")[0] == dataset:
            assert dict(kinds) == {path: found[table].get(path) for path in kinds}


@pytest.mark.parametrize("uri", [*DATASETS.values(), SURVEY])
def test_ours_declare_no_other_types_than_they_do(library, ours, uri):
    theirs, mine = (
        declared_kinds("D", documents[uri], documents)
        for documents in ({each: one.document(each) for each in one.hashes} for one in (library, ours))
    )
    both = [(table, path) for table in mine for path in mine[table] if path in theirs.get(table, {})]
    assert both
    assert [mine[table][path] for table, path in both] == [theirs[table][path] for table, path in both]


def test_ours_require_and_allow_the_same(library, ours):
    for uri in sorted(set(ours.hashes) & set(library.hashes)):
        mine, theirs = ours.document(uri), library.document(uri)
        for keyword in ("type", "required", "additionalProperties"):
            one, other = mine.get(keyword), theirs.get(keyword)
            assert (sorted(one) if keyword == "required" and one else one) == (
                sorted(other) if keyword == "required" and other else other
            ), (uri, keyword)


def test_our_archive_map_leads_where_theirs_does(library, ours):
    mine, theirs = Resolver(load(), ours), Resolver(load(), library)
    for assessment in ours.archive_map().assessments:
        record = record_of(
            {
                "recordid": "r", "uploadedon": "2024-01-01T00:00:00.000Z",
                "assessmentid": assessment.assessmentIdentifier, "assessmentrevision": assessment.assessmentRevision,
            }
        )  # fmt: skip
        for _, file in ours.archive_map().all_files():
            one, other = (resolver.resolve(record, file.filename) for resolver in (mine, theirs))
            assert (one.dataset, one.schema_id) == (other.dataset, other.schema_id), file


def test_the_shipped_mapping_fits_them(library):
    findings = check_mapping(load(), library)
    assert [each.code for each in findings if each.severity == "error"] == ["schema_missing", "schema_missing"]
    assert {each.code for each in findings} == {"schema_missing", "never_built", "unsatisfiable", "never_matches"}
    assert {each.where for each in findings if each.code == "unsatisfiable"} == {f"{BASE}/v1/TappingResultObject.json"}


def test_generated_archives_become_of_them_what_the_truth_says(store, tmp_path):
    truth = write(Knobs(seed=5, records=60, faults=dict.fromkeys(FAULTS, 1), odd_keys=0.5), tmp_path / "study")
    schemas = Schemas(loads(MAPPING), store.library())
    warehouse = tmp_path / "warehouse"
    run(
        Setting(
            warehouse=str(warehouse),
            source=Folder(tmp_path / "study/archives"),
            schemas=schemas,
            pool=inline(),
            options=IngestOptions(),
        )
    )
    assert (dispositions_of(warehouse), quarantined(warehouse)) == expected(truth)
