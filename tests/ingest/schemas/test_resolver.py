"""Look-up in the order of the contract; against a slow and obvious oracle."""

import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.ingest_schemas import BASE

from carrel.ingest.mapping import load, loads
from carrel.ingest.schemas import Library, Resolver, Schemas, described_schemas
from carrel.ingest.schemas.archive_map import ArchiveMapIndex, parse_archive_map

COMBINED = "https://example.org/not-in-the-store/combined-task-data.json"


@pytest.fixture
def resolver(whole_library):
    return Resolver(load(), whole_library)


@pytest.mark.parametrize(
    ("assessment", "revision", "path", "dataset", "schema"),
    [
        ("walk-and-balance", 1, "walk_motion.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("walk-and-balance", 7, "a/balance_motion.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("walk-and-balance", 0, "walk_motion.json", None, None),
        ("gait", 0, "walk.json", None, None),
        ("gait", 1, "walk.json", None, "v1/MotionRecord.json"),
        ("gait", 2, "walk.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("gait", 3, "turn.json", None, None),
        ("gait", 3, "walk.csv", None, None),
        ("gait", 9, "turn.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("gait", None, "walk.json", None, None),
        ("gait", 9, "steps.json", None, "v2/DistanceRecord.json"),
        ("tremor", 1, "left_motion.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("finger-tapping", 1, "left_tapping", "TappingResultObject_v1", "v1/TappingResultObject.json"),
        ("reading", 5, "motion.json", "MotionRecord_v1", "v2/MotionRecord.json"),
        ("reading", None, "weather.json", "WeatherResult_v1", "v2/WeatherResult.json"),
        ("reading", 5, "microphone.json", "AudioLevelRecord_v1", "v2/AudioLevelRecord.json"),
        ("reading", 5, "microphone_levels.json", "AudioLevelRecord_v1", "v2/AudioLevelRecord.json"),
        ("daily", 1, "assessmentResult.json", "AssessmentResultObject_v1", "v2/AssessmentResultObject.json"),
        ("anything", 1, "metadata.json", "ArchiveMetadata_v1", "v2/ArchiveMetadata.json"),
        ("reading", 5, "taskData", None, None),
        ("reading", 5, "info.json", None, None),
        ("reading", 5, "taskResult.json", None, None),
    ],
)
def test_files_of_the_archive_map(resolver, record, assessment, revision, path, dataset, schema):
    found = resolver.resolve(record(assessment, revision), path)
    assert (found.dataset, found.schema_id, found.fault) == (dataset, schema and f"{BASE}/{schema}", None)
    assert dataset is None or found.schema_hash is not None
    assert found.reason


def test_another_app_has_not_this_apps_files(resolver, record):
    assert resolver.resolve(record(appid="other"), "motion.json").dataset is None
    assert resolver.resolve(record(appid="mobile-toolbox"), "motion.json").dataset == "MotionRecord_v1"
    assert resolver.resolve(record(appid="field-study"), "band_motion.json").schema_id == f"{BASE}/v1/MotionRecord.json"
    appless = Resolver(loads("default_app: null"), resolver.library)
    assert appless.resolve(record(), "motion.json").dataset is None


def test_what_the_archive_says_of_itself_wins_over_all(resolver, record):
    own = {"motion.json": f"{BASE}/v2/WeatherResult.json", "info.json": f"{BASE}/v2/AudioLevelRecord.json"}
    assert resolver.resolve(record(), "sub/motion.json", own).dataset == "WeatherResult_v1"
    assert resolver.resolve(record(), "info.json", own).dataset == "AudioLevelRecord_v1"
    by_path = {"left/motion.json": f"{BASE}/v2/AudioLevelRecord.json"}
    assert resolver.resolve(record(), "left/motion.json", by_path).dataset == "AudioLevelRecord_v1"
    assert resolver.resolve(record(), "right/motion.json", by_path).dataset == "MotionRecord_v1"


def test_a_legacy_record_is_mapped_by_name_and_not_validated(resolver, record):
    found = resolver.resolve(record("dccs", 5), "metadata.json")
    assert (found.dataset, found.schema_id, found.schema_hash) == ("TaskMetadata_v1", None, None)
    assert resolver.resolve(record("dccs", 5), "microphone.json").dataset == "AudioLevelRecord_v1"
    assert resolver.resolve(record("dccs", 5), "taskData.json").dataset == "sharedSchema_v1"
    assert resolver.resolve(record("dccs", 6), "metadata.json").dataset == "ArchiveMetadata_v1"


def test_files_of_a_legacy_record_that_only_a_schema_knows_are_not_validated_either(resolver, record):
    found = resolver.resolve(record("psm", 5), "microphone.json")
    assert (found.dataset, found.schema_hash, found.fault) == ("AudioLevelRecord_v1", None, None)
    assert "not validated" in found.reason
    bare = Resolver(load(), Library(archive_map_hash=None))
    own = {"x.json": f"{BASE}/v2/MotionRecord.json"}
    assert bare.resolve(record("psm", 5), "x.json", own).dataset == "MotionRecord_v1"


def test_a_schema_that_is_not_in_the_store_is_a_fault_with_the_command_to_run(resolver, record):
    found = resolver.resolve(record(), "taskData.json")
    assert found.schema_id == COMBINED
    assert (found.fault.stage, found.fault.keyword) == ("schema", "schema_missing")
    assert "carrel ingest schemas" in found.fault.message


def test_without_an_archive_map_nothing_is_skipped_in_silence(record):
    found = Resolver(load(), Library()).resolve(record(), "motion.json")
    assert found.fault.keyword == "archive_map_missing"
    none_wanted = Resolver(loads("archive_map: null"), Library()).resolve(record(), "motion.json")
    assert (none_wanted.dataset, none_wanted.fault) == (None, None)


def test_a_name_that_is_no_url_leads_to_the_dataset(library_of, record):
    library = library_of(
        {COMBINED: {"$id": "sharedSchema"}, "https://x.org/i.json": {"$id": "schemas/v0/3DRotation.json"}}
    )
    resolver = Resolver(loads("archive_map: null"), library)
    assert resolver.resolve(record(), "t.json", {"t.json": COMBINED}).dataset == "sharedSchema_v1"
    assert resolver.resolve(record(), "t.json", {"t.json": "https://x.org/i.json"}).dataset == "3DRotation_v1"
    assert resolver.schemas_of("sharedSchema_v1") == (COMBINED,)


def test_a_schema_without_dataset_is_skipped_and_says_so(resolver, record):
    found = resolver.resolve(record(), "x.json", {"x.json": f"{BASE}/v2/DistanceRecord.json"})
    assert (found.dataset, found.fault) == (None, None)
    assert "no dataset" in found.reason


def test_the_schemas_of_a_dataset(resolver):
    assert resolver.schemas_of("MotionRecord_v1") == (f"{BASE}/v2/MotionRecord.json",)
    assert resolver.schemas_of("TaskMetadata_v1") == ()


@pytest.mark.parametrize(
    "value",
    [None, [], 1, {}, {"files": 3}, {"files": [1, {}, {"filename": "a"}, {"filename": 1, "jsonSchema": "u"}]}],
)
def test_metadata_that_describes_nothing(value):
    assert described_schemas(value) == {}


def test_metadata_that_describes_files():
    files = [{"filename": "a", "jsonSchema": "u"}, {"filename": "b"}, {"filename": "", "jsonSchema": "u"}]
    assert described_schemas({"files": files}) == {"a": "u"}


def test_the_factory_crosses_process_borders_and_makes_each_thing_once(whole_library):
    schemas = Schemas(load(), whole_library)
    whole_library.document(f"{BASE}/v2/MotionRecord.json")
    copy = pickle.loads(pickle.dumps(schemas))
    assert "_documents" not in copy.library.__dict__
    assert copy.resolver() is schemas.resolver()
    assert copy.checker() is schemas.checker()
    others = [Schemas(loads(f"default_app: app{number}"), whole_library).resolver() for number in range(6)]
    assert len({id(each) for each in others}) == 6
    for number in range(6):
        assert Schemas(load(), Library(digest=str(number))).resolver().library.digest == str(number)


names = st.sampled_from(["a.json", "b.json", "c.json"])
files = st.lists(
    st.tuples(names, st.sampled_from([None, "u:1", "u:2", "u:3"])).map(
        lambda t: {"filename": t[0], "jsonSchema": t[1]}
    ),
    max_size=3,
)
archive_maps = st.fixed_dictionaries(
    {
        "assessments": st.lists(
            st.fixed_dictionaries(
                {
                    "assessmentIdentifier": st.sampled_from("XY"),
                    "assessmentRevision": st.integers(0, 4),
                    "files": files,
                }
            ),
            max_size=4,
        ),
        "apps": st.lists(
            st.fixed_dictionaries(
                {
                    "appId": st.sampled_from("PQ"),
                    "default": st.lists(files.map(lambda f: {"files": f}), max_size=2),
                    "anyOf": files,
                }
            ),
            max_size=2,
        ),
        "anyOf": files,
    }
)


def last(entries, name):
    found = None
    for entry in entries:
        if entry["filename"] == name and entry["jsonSchema"]:
            found = entry["jsonSchema"]
    return found


def oracle(archive_map, name, app, assessment, revision):
    """Steps 3b to 3d, read aloud."""
    best = None
    for each in archive_map["assessments"]:
        if each["assessmentIdentifier"] != assessment or revision is None or each["assessmentRevision"] > revision:
            continue
        if best is None or each["assessmentRevision"] >= best["assessmentRevision"]:
            best = each
    found = last(best["files"], name) if best else None
    if found:
        return found
    found = None
    for each in archive_map["apps"]:
        if each["appId"] == app:
            for default in each["default"]:
                found = last(default["files"], name) or found
    overriding = None
    for each in archive_map["apps"]:
        if each["appId"] == app:
            overriding = last(each["anyOf"], name) or overriding
    return overriding or found or last(archive_map["anyOf"], name)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(archive_maps, names, st.sampled_from(["P", "Q", None]), st.sampled_from("XYZ"), st.none() | st.integers(0, 5))
def test_the_archive_map_is_read_as_the_contract_says(archive_map, name, app, assessment, revision):
    found = ArchiveMapIndex(parse_archive_map(archive_map)).find(name, app, assessment, revision)
    assert (found and found.url) == oracle(archive_map, name, app, assessment, revision)
