"""Validation: against python's jsonschema, what is forgiven, and that no fault quotes the data."""

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.ingest import documents
from tests.support.ingest import schemas as schemas_of_all
from tests.support.ingest_schemas import BASE

from carrel.ingest.archives import open_archive, parse, record_of
from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.mapping import load, loads
from carrel.ingest.schemas import Checker, Library, Resolver, SchemaStore, described_schemas
from carrel.ingest.schemas.forgiveness import equal_as_json, pointer_fits
from carrel.ingest.values import Fault, Resolution
from carrel.synthetic import generate
from carrel.synthetic.faults import FAULT
from carrel.synthetic.knobs import Knobs
from carrel.synthetic.shapes import ANYTHING, SCHEMAS, TASK_DATA

DRAFT = "http://json-schema.org/draft-07/schema#"
URL = "https://x.org/s/thing.json"
MOTION = f"{BASE}/v2/MotionRecord.json"
ANDROID = "ClientInfo [appName=A, appVersion=73, osName=Android, osVersion=12]"


def resolution(library, url=URL):
    return Resolution("Thing_v1", url, library.hash_of(url), "test")


@pytest.fixture
def faults_of(library_of, record):
    """Faults of a value against a schema, as (pointer, keyword)."""

    def check(schema, value, mapping="", others=None, first=0, **metadata):
        library = library_of({URL: schema, **(others or {})})
        checker = Checker(loads(mapping), library)
        return checker.check(value, resolution(library), record(**metadata), "thing.json", first)

    return check


def places(faults):
    return {(fault.pointer, fault.keyword) for fault in faults}


EVERY_KEYWORD = [
    ({"type": "integer"}, "1", "type"),
    ({"type": ["integer", "null"]}, "1", "type"),
    ({"enum": [1, 2]}, 3, "enum"),
    ({"const": 1}, 2, "const"),
    ({"pattern": "^a"}, "secret", "pattern"),
    ({"minimum": 3}, 2, "minimum"),
    ({"maximum": 3}, 4, "maximum"),
    ({"exclusiveMinimum": 3}, 3, "exclusiveMinimum"),
    ({"exclusiveMaximum": 3}, 3, "exclusiveMaximum"),
    ({"multipleOf": 2}, 3, "multipleOf"),
    ({"minItems": 1}, [], "minItems"),
    ({"maxItems": 1}, [1, 2], "maxItems"),
    ({"items": [{}], "additionalItems": False}, [1, 2], "additionalItems"),
    ({"minLength": 9}, "secret", "minLength"),
    ({"maxLength": 2}, "secret", "maxLength"),
    ({"minProperties": 1}, {}, "minProperties"),
    ({"maxProperties": 0}, {"a": 1}, "maxProperties"),
    ({"uniqueItems": True}, [1, 1], "uniqueItems"),
    ({"contains": {"const": 1}}, [2], "contains"),
    ({"anyOf": [{"type": "null"}]}, 1, "anyOf"),
    ({"oneOf": [{"type": "null"}]}, 1, "oneOf"),
    ({"oneOf": [{}, {}]}, 1, "oneOf"),
    ({"not": {}}, 1, "not"),
    ({"propertyNames": {"maxLength": 1}}, {"secret": 1}, "propertyNames"),
    ({"required": ["x"]}, {}, "required"),
    ({"properties": {"x": False}}, {"x": 1}, "false"),
    ({"additionalProperties": False}, {"x": 1}, "additionalProperties"),
]


@pytest.mark.parametrize(("schema", "value", "keyword"), EVERY_KEYWORD)
def test_every_keyword_has_its_words_and_quotes_no_data(faults_of, schema, value, keyword):
    (fault,) = faults_of({"$schema": DRAFT, **schema}, value)
    assert (fault.stage, fault.keyword) == ("schema", keyword)
    assert "secret" not in fault.message
    assert "breaks" not in fault.message


def test_later_drafts(faults_of):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "unevaluatedProperties": False}
    assert places(faults_of(schema, {"a": 1, "b": 2})) == {
        ("/a", "unevaluatedProperties"),
        ("/b", "unevaluatedProperties"),
    }
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "unevaluatedItems": False}
    assert places(faults_of(schema, [1])) == {("", "unevaluatedItems")}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "dependentRequired": {"a": ["b"]}}
    assert len(faults_of(schema, {"a": 1})) == 1


def test_formats_are_not_asserted_as_in_the_contract(faults_of):
    assert faults_of({"$schema": DRAFT, "type": "string", "format": "date-time"}, "yesterday") == ()


def test_faults_are_capped_and_unexpected_properties_are_pointed_at_not_named(faults_of):
    faults = faults_of({"$schema": DRAFT, "additionalProperties": False}, {f"k{n}/": n for n in range(500)})
    assert len(faults) == 100
    assert faults[0].pointer == "/k0~1"
    assert "k0" not in faults[0].message


def test_blocks_of_an_array_have_the_pointers_of_the_whole(faults_of):
    schema = {"$schema": DRAFT, "type": "array", "items": {"type": "integer"}}
    assert places(faults_of(schema, [1, "a"], first=70)) == {("/71", "type")}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array", "items": {"type": "object"}, "title": "t", "definitions": {}}, True),
        ({"type": "array"}, True),
        ({"type": "array", "items": [{}]}, False),
        ({"type": "array", "minItems": 1}, False),
        ({"type": "array", "uniqueItems": True}, False),
        ({"type": "object"}, False),
        (True, False),
    ],
)
def test_which_schemas_can_be_checked_block_by_block(library_of, schema, expected):
    assert Checker(load(), library_of({URL: schema})).blockwise(URL) is expected


def test_references_are_followed_in_the_library_alone(faults_of):
    others = {
        "https://x.org/s/other.json": {
            "$schema": DRAFT,
            "$id": "schemas/v0/other.json",
            "properties": {"n": {"$ref": "third.json#/definitions/N"}},
        },
        "https://x.org/s/third.json": {"$schema": DRAFT, "definitions": {"N": {"type": "integer"}}},
    }
    schema = {"$schema": DRAFT, "$id": "sharedSchema", "properties": {"o": {"$ref": "other.json"}}}
    assert places(faults_of(schema, {"o": {"n": "x"}}, others=others)) == {("/o/n", "type")}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$schema": DRAFT, "$ref": "gone.json"}, "refers to https://x.org/s/gone.json"),
        ({"$schema": DRAFT, "type": "strin"}, "cannot be compiled"),
        ({"$schema": "urn:mine", "type": "string"}, "cannot be compiled"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_fault_of_the_file(faults_of, schema, said):
    (fault,) = faults_of(schema, 1)
    assert fault.keyword == "schema_unusable"
    assert said in fault.message


def test_what_is_not_validated(whole_library, record):
    checker = Checker(load(), whole_library)
    assert checker.check(1, Resolution("A_v1", None, None, "legacy"), record(), "a") == ()
    missing = Fault("schema", "schema_missing", "m")
    assert checker.check(1, Resolution(None, "u", None, "r", missing), record(), "a") == (missing,)


def instances(keyword):
    """(URL, value) of every document of the store: its own examples, or what it says it refuses."""
    library = schemas_of_all().library
    found = [(uri, value) for uri in sorted(library.hashes) for value in _listed(library.document(uri), keyword)]
    assert found
    return found


def _listed(document, keyword):
    return document.get(keyword, []) if isinstance(document, dict) else []


@pytest.mark.parametrize(("uri", "value"), instances("examples"), ids=str)
def test_every_document_takes_its_own_examples(whole_library, record, uri, value):
    checker = Checker(load(), whole_library)
    assert checker.check(value, resolution(whole_library, uri), record(), "thing.json") == ()


@pytest.mark.parametrize(("uri", "value"), instances("refused"), ids=str)
def test_every_document_refuses_what_it_says(whole_library, record, uri, value):
    checker = Checker(load(), whole_library)
    assert [fault.stage for fault in checker.check(value, resolution(whole_library, uri), record(), "thing.json")]


def test_integers_of_any_size(faults_of):
    assert faults_of({"$schema": DRAFT, "type": "integer", "maximum": 10**41}, 10**40) == ()
    assert places(faults_of({"$schema": DRAFT, "maximum": 5}, 10**40)) == {("", "maximum")}


def quirky_rows(count=20):
    return [{"sensorType": "acceleration", "eventAccuracy": None, "x": 1.5, "timestamp": n} for n in range(count)]


@pytest.mark.parametrize(
    ("path", "schema", "value"),
    [
        ("motion.json", "v2/MotionRecord.json", quirky_rows()),
        ("weather.json", "v2/WeatherResult.json", {"identifier": "w", "startDate": "2024-01-01T00:00:00Z"}),
        (
            "metadata.json",
            "v2/ArchiveMetadata.json",
            {"appVersion": "1", "deviceInfo": "d", "deviceTypeIdentifier": "p"},
        ),
    ],
)
def test_androids_errors_are_forgiven_to_android_alone(whole_library, record, path, schema, value):
    checker, found = Checker(load(), whole_library), resolution(whole_library, f"{BASE}/{schema}")
    assert checker.check(value, found, record(clientinfo=ANDROID), path) == ()
    assert checker.check(value, found, record(clientinfo="ClientInfo [osName=iPhone OS]"), path)
    assert checker.check(value, found, record(clientinfo=ANDROID, appid="other"), path)
    assert checker.check(value, found, record(clientinfo=ANDROID), f"other_{path}")


def test_an_error_among_forgiven_ones_is_found(whole_library, record):
    rows = quirky_rows()
    rows[7]["x"] = "secret"
    rows[8]["eventAccuracy"] = "secret"
    rows[9]["sensorType"] = "secret"
    rows[10]["x"] = None
    faults = Checker(load(), whole_library).check(
        rows, resolution(whole_library, MOTION), record(clientinfo=ANDROID), "motion.json"
    )
    expected = {("/7/x", "type"), ("/8/eventAccuracy", "type"), ("/9/sensorType", "enum"), ("/10/x", "type")}
    assert places(faults) == expected
    assert not any("secret" in fault.message for fault in faults)


def test_the_old_motion_schema_that_wants_stepPath(whole_library, record):
    found = resolution(whole_library, f"{BASE}/v1/MotionRecord.json")
    checker = Checker(load(), whole_library)
    assert checker.check(quirky_rows(), found, record(clientinfo=ANDROID), "motion.json") == ()


SCOPES = [
    ("app: mobile-toolbox", True),
    ("app: other", False),
    ("os: Android", True),
    ("os: iPhone", False),
    ("app_version: '>=73,<80'", True),
    ("app_version: '<73'", False),
    ("assessment: reading", True),
    ("assessment: other", False),
    ("assessment_revision: 5", True),
    ("assessment_revision: 4", False),
    ("file: thing.json", True),
    ("file: t*.json", True),
    ("file: motion.json", False),
    (f"schema: {URL}", True),
    ("schema: other", False),
    ("pointer: /a", True),
    ("pointer: /b", False),
    ("pointer: '/*'", True),
    ("pointer: '/**/a'", True),
    ("pointer: ''", False),
    ("value: x", True),
    ("value: y", False),
    ("value: null", False),
    ("expected: integer", True),
    ("expected: string", False),
]


@pytest.mark.parametrize(("scope", "forgiven"), SCOPES)
def test_the_scope_of_a_rule(faults_of, scope, forgiven):
    schema = {"$schema": DRAFT, "properties": {"a": {"type": "integer"}}}
    mapping = f"forgive: {{mine: {{keyword: type, {scope}}}}}"
    assert (faults_of(schema, {"a": "x"}, mapping, clientinfo=ANDROID) == ()) is forgiven


def test_a_rule_about_a_keyword_is_about_that_keyword(faults_of):
    schema = {"$schema": DRAFT, "properties": {"c": {}}, "additionalProperties": False, "required": ["b", "c"]}
    mapping = "forgive: {a: {keyword: additionalProperties, property: a}, b: {keyword: required, property: b}}"
    assert places(faults_of(schema, {"a": 1, "d": 1}, mapping)) == {("/d", "additionalProperties"), ("", "required")}
    assert faults_of(schema, {"a": 1, "c": 1}, mapping) == ()
    assert faults_of({"$schema": DRAFT, "required": ["b"]}, {}, "forgive: {a: {keyword: required}}") == ()


def test_pointers():
    assert pointer_of(["a/b", 0, "c~d"]) == "/a~1b/0/c~0d"
    assert pointer_fits("/a~1b/*/c~0d", ("a/b", 0, "c~d"))
    assert pointer_fits("/**", ())
    assert not pointer_fits("/*", ())
    assert not equal_as_json(True, 1)
    assert equal_as_json(1.0, 1)


leaf = st.sampled_from([{"type": "integer"}, {"type": "string"}, {"enum": ["p", "q", 1]}, {"type": "number"}, {}])
schemas = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(["a", "b/%", "default"]), inner)},
            optional={
                "required": st.lists(st.sampled_from(["a", "b/%"]), unique=True),
                "additionalProperties": st.one_of(st.booleans(), inner),
                "title": st.just("t"),
                "minProperties": st.just(1),
            },
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"items": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"patternProperties": st.fixed_dictionaries({"^a": inner})}),
        st.sampled_from(
            [
                {"$ref": "#"},
                {"$ref": "#/definitions/D"},
                {"$ref": "#d"},
                {"$ref": "other.json"},
                {"$ref": "other.json#/definitions/O"},
            ]
        ),
    ),
    max_leaves=6,
)
values = st.recursive(
    st.sampled_from([None, True, 1, 2.5, "p", "z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/%", "c"]), inner, max_size=3),
    max_leaves=8,
)
rules = st.lists(
    st.one_of(
        st.fixed_dictionaries({"keyword": st.just("required")}, optional={"property": st.sampled_from(["a", "b/%"])}),
        st.fixed_dictionaries({"keyword": st.just("enum"), "value": st.sampled_from(["z", None, True, 2.5])}),
        st.fixed_dictionaries(
            {"keyword": st.just("type"), "value": st.none(), "expected": st.sampled_from(["integer", "object"])}
        ),
        st.fixed_dictionaries({"keyword": st.just("additionalProperties"), "property": st.sampled_from(["a", "c"])}),
    ).flatmap(
        lambda rule: st.sampled_from([None, "", "/a", "/*", "/**/a", "/*/a", "/b~1%"]).map(
            lambda pointer: rule if pointer is None else {**rule, "pointer": pointer}
        )
    ),
    max_size=3,
)
OTHER = {"$schema": DRAFT, "type": "object", "required": ["a"], "definitions": {"O": {"enum": ["p"]}}}


def whole(schema):
    return {**schema, "$schema": DRAFT, "definitions": {"D": {"$id": "#d", "required": ["a"], "type": "object"}}}


@pytest.fixture
def written(library_of):
    """A library of `schema` without writing files each time."""
    import hashlib

    def make(schema):
        texts = {
            hashlib.sha256(each).hexdigest(): each for each in (json.dumps(schema).encode(), json.dumps(OTHER).encode())
        }
        return Library(texts, dict(zip((URL, "https://x.org/s/other.json"), texts, strict=True)), None, "d")

    return make


relaxed_settings = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def endless(schema):
    """A `$ref` to itself, with nothing between: no validator can be made of it."""
    return (
        "$ref" in schema
        or any(endless(each) for key in ("allOf", "anyOf") for each in schema.get(key, []))
        or endless_not(schema)
    )


def endless_not(schema):
    return "not" in schema and endless(schema["not"])


@relaxed_settings
@given(schemas, values)
def test_what_is_valid_is_what_python_says_is_valid(written, record, schema, value):
    if endless(schema):
        return
    library = written(whole(schema))
    from referencing import Registry, Resource

    registry = Registry().with_resources(
        [("https://x.org/s/other.json", Resource.from_contents(OTHER)), (URL, Resource.from_contents(whole(schema)))]
    )
    reference = jsonschema.Draft7Validator({"$ref": URL}, registry=registry)
    expected = {
        (pointer_of(error.absolute_path), error.validator or "false")
        for error in reference.iter_errors(value)
        if error.validator != "additionalProperties"
    }
    faults = Checker(loads("extends: nothing"), library, 10_000).check(
        value, resolution(library), record(), "thing.json"
    )
    assert {place for place in places(faults) if place[1] != "additionalProperties"} == expected
    assert (faults == ()) == reference.is_valid(value)


@relaxed_settings
@given(schemas, values, rules)
def test_the_fast_way_to_forgive_lets_nothing_pass_that_the_rules_do_not(written, record, schema, value, rules):
    if endless(schema):
        return
    library = written(whole(schema))
    mapping = loads("extends: nothing\nforgive: " + json.dumps({f"r{n}": rule for n, rule in enumerate(rules)}))
    fast, slow = Checker(mapping, library), Checker(mapping, library)
    slow._relaxed = lambda uri, rules: Never()
    args = (value, resolution(library), record(), "thing.json")
    assert fast.check(*args) == slow.check(*args)


class Never:
    def is_valid(self, value):
        return False


MAPPING = f"schemas: {{{TASK_DATA}: sharedSchema_v1, {ANYTHING}: Anything_v1}}"


@pytest.mark.parametrize("documents", [documents(), [SCHEMAS]], ids=["the tests'", "the generator's"])
def test_generated_archives_have_the_faults_they_were_given_and_no_other(documents, tmp_path, record):
    """Each file of each archive goes to the dataset, and has the fault of validation, that the generator says."""
    store = SchemaStore(tmp_path)
    store.add(documents)
    library, mapping = store.library(), loads(MAPPING)
    resolver, checker = Resolver(mapping, library), Checker(mapping, library)
    wanted = {name: 1 for name, fault in FAULT.items() if not fault.line or fault.line[0] in ("schema", "types")}
    seen = 0
    for made in generate(Knobs(seed=7, records=60, faults=wanted, odd_keys=0.5)):
        if made.disposition.value == "unreadable":
            continue
        about = record_of(made.metadata)
        with open_archive(made.data) as archive:
            contents = {
                entry.path: parse(archive.read(entry))
                for entry in archive.entries
                if entry.path != "data/"
                and not (made.quarantine and entry.path == made.quarantine[0][0] and made.quarantine[0][1] == "json")
            }
        own = described_schemas(contents.get("metadata.json"))
        expected = {file.name: (file.dataset, file.schema_id) for file in made.files if file.dataset}
        lines = [("schema", keyword) for _, stage, keyword in made.quarantine if stage == "schema"]
        found = {}
        faults = []
        for path, value in contents.items():
            resolved = resolver.resolve(about, path, own)
            broken = checker.check(value, resolved, about, path)
            faults += [(fault.stage, fault.keyword) for fault in broken]
            if resolved.dataset and not broken and not (made.quarantine and path == made.quarantine[0][0]):
                found[path] = (resolved.dataset, resolved.schema_id)
        assert found == expected
        assert faults == lines
        seen += 1
    assert seen >= 50
