"""The mapping file: what is taken, what is refused and where, and how one file lies over another."""

import pickle

import pytest

from carrel.ingest.mapping import MappingInvalid, load, loads
from carrel.ingest.mapping.clients import ClientInfo, client_of, satisfies
from carrel.ingest.mapping.model import ANY, Mapping


def problems(text):
    with pytest.raises(MappingInvalid) as caught:
        loads(text)
    return [str(each) for each in caught.value.problems]


def test_the_shipped_mapping_is_the_contracts_and_leaves_nothing_dead():
    mapping = load()
    assert set(mapping.schemas.values()) == {
        *("ArchiveMetadata_v1", "sharedSchema_v1", "MotionRecord_v1", "TappingResultObject_v1", "WeatherResult_v1"),
        *("AudioLevelRecord_v1", "sharedSchema_for_Gradual_Onset_v1", "3DRotation_v1", "ProgressiveMatrices_v1"),
        *("LetterNumberSeries_v1", "VerbalReasoning_v1", "AssessmentResultObject_v1"),
    }
    assert {assessment: list(revisions) for assessment, revisions in mapping.legacy.items()} == {
        "dccs": [5],
        "flanker": [4],
        "memory-for-sequences": [6],
        "number-match": [3],
        "psm": [5],
        "spelling": [4],
        "vocabulary": [4],
    }
    assert "microphone_levels.json" in mapping.legacy["dccs"][5]
    assert "microphone_levels.json" not in mapping.legacy["psm"][5]
    assert "TaskMetadata_v1" in mapping.named_datasets()
    assert [name for name in mapping.forgive if name.startswith("android-")] == list(mapping.forgive)[:7]
    assert mapping.plain_name("a/b\\microphone.json") == "microphone_levels.json"
    assert mapping.archive_map.location.endswith("/v4.7.2/archive-map.json")


def test_a_mapping_crosses_process_borders():
    mapping = loads("forgive: {mine: {keyword: enum}}")
    copy = pickle.loads(pickle.dumps(mapping))
    assert copy == mapping
    assert copy.forgive["mine"].value is ANY
    assert repr(ANY) == "any value"


def test_a_file_is_laid_over_the_shipped_one_key_by_key():
    mapping = loads(
        """
        schemas:
          https://example.org/mine.json: Mine_v2
          sharedSchema: null
        legacy:
          dccs: {5: {motion.json: null, extra.json: Extra_v1}}
          psm: null
        ignored: null
        forgive: {android-weather-type: null}
        datasets: {Mine_v2: {policy: variant, partition_by: [assessmentid]}}
        defaults: {partition_by: [year, month]}
        archive_map: {url: archive-map.json}
        default_app: null
        """
    )
    assert mapping.schemas["https://example.org/mine.json"] == "Mine_v2"
    assert "sharedSchema" not in mapping.schemas
    assert mapping.legacy["dccs"][5]["extra.json"] == "Extra_v1"
    assert "motion.json" not in mapping.legacy["dccs"][5]
    assert "psm" not in mapping.legacy
    assert mapping.ignored == {}
    assert "android-weather-type" not in mapping.forgive
    assert len(mapping.forgive) == len(load().forgive) - 1
    assert mapping.options("Mine_v2").model_dump() == {
        "policy": "variant",
        "partition_by": ("assessmentid",),
        "naming": "carrel",
        "max_columns": 2_000,
        "max_tables": 500,
    }
    assert mapping.options("MotionRecord_v1").partition_by == ("year", "month")
    assert mapping.archive_map.version is None
    assert mapping.default_app is None


def test_starting_from_nothing():
    assert loads("extends: nothing") == Mapping()
    assert loads("extends: nothing\naliases: {a: b}").aliases == {"a": "b"}


def test_an_empty_file_is_the_shipped_mapping():
    assert loads("") == load()


def test_every_problem_is_said_at_once_with_its_line():
    assert problems(
        """\
schema: {a: b}
schemas:
  x: bad
  x: Good_v1
  nope: null
archive_map: {url: "a{version}", version: 4.7}
forgive:
  r: {keyword: enum, app_version: "x"}
  s: {os: Android, keywords: 1}
defaults: {policy: evolv}
datasets:
  A_v1: {partition_by: [year, hour]}
legacy: {a: {"5": {f: A_v1}}}
extends: somewhere
"""
    ) == [
        "line 1: schema: unknown key; did you mean schemas?",
        "line 4: schemas.x: this key is given twice",
        "line 5: schemas.nope: null takes away what the shipped mapping has, and it has no such key",
        "line 6: archive_map.version: must be text; put it in quotes",
        "line 8: forgive.r.app_version: 'x' is no comparison with a version; write as >=60,<74",
        "line 9: forgive.s.keyword: is missing",
        "line 9: forgive.s.keywords: unknown key; did you mean keyword?",
        "line 10: defaults.policy: should be 'evolve', 'variant', 'quarantine' or 'freeze'",
        "line 12: datasets.A_v1.partition_by.1: "
        "should be 'assessmentid', 'assessmentrevision', 'year', 'month' or 'day'",
        "line 13: legacy.a.5: should be a valid integer",
        "line 14: extends: must be shipped or nothing",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "line 1: a mapping file is a YAML mapping"),
        ("schemas: {a: b_1}", "a dataset is named by identifier and version"),
        ("datasets: {bad: {}}", "a dataset is named by identifier and version"),
        ("archive_map: {url: 'a{version}'}", "the url has {version} in it"),
        ("forgive: {a: {keyword: enum, pointer: a/b}}", "a JSON pointer is empty or begins with /"),
        ("forgive: {a: {keyword: enum, value: [1]}}", "a value to compare with"),
        ("forgive: {a: {keyword: enum, property: b}}", "property goes with the keywords"),
        ("forgive: {a: {keyword: enum, expected: string}}", "expected goes with the keyword type"),
        ("aliases: {a: b, b: c}", "name the last"),
        ("defaults: {zzz: 1}", "the keys here are policy, partition_by, naming"),
        ("schemas: {a: {b: c}}", "schemas.a: should be a valid string"),
        ("a: [", "line 1: not YAML"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("a: !mine x", "tags are not taken"),
        ("? [a]\n: b", "a key must be text or a number"),
        ("a: &x [*x]", "an anchor that holds itself"),
        ("a: \0", "not YAML"),
        ("a: 2024-99-99", "not YAML"),
        ("a: *unknown", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
    ],
)
def test_what_is_refused(text, said):
    assert any(said in each for each in problems(text)), problems(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MappingInvalid, match="No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(MappingInvalid, match="not UTF-8"):
        load(tmp_path / "latin.yaml")
    (tmp_path / "good.yaml").write_text("default_app: mine")
    assert load(tmp_path / "good.yaml").default_app == "mine"


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("ClientInfo [appName=A, appVersion=73, deviceName=B, osName=iPhone OS, osVersion=15.1]", ("iPhone OS", "73")),
        ('{"osName": "Android", "appVersion": 12}', ("Android", "12")),
        ("", (None, None)),
        ("[1]", (None, None)),
        ("ClientInfo [osName=null, appVersion=]", (None, None)),
        ("[" * 100_000, (None, None)),
    ],
)
def test_client_information_in_both_formats(text, client):
    assert client_of(text) == ClientInfo(*client)


@pytest.mark.parametrize(
    ("version", "comparisons", "expected"),
    [
        ("73", ">=60,<74", True),
        ("74", ">=60,<74", False),
        ("1.10", ">1.9", True),
        ("1.0", "==1", True),
        ("2", "!=2", False),
        ("2", "<=2", True),
        (None, ">0", False),
        ("beta", ">0", False),
    ],
)
def test_versions_are_compared_as_numbers(version, comparisons, expected):
    assert satisfies(version, comparisons) is expected
