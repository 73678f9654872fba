"""The store: content-hashed, atomic, filled from files, folders and the web."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from tests.support.http_server import Handler, serving
from tests.support.ingest import DOCUMENTS, documents
from tests.support.ingest_schemas import BASE

from carrel.ingest.mapping.model import ArchiveMapSource
from carrel.ingest.schemas import SchemaStore, StoreFault
from carrel.ingest.schemas.fetcher import Fetcher, FetchFault
from carrel.ingest.schemas.references import direct_references
from carrel.synthetic import SCHEMAS

DRAFT = "http://json-schema.org/draft-07/schema#"


@contextmanager
def web(pages):
    """A web server of path -> list of (status, body), the last repeated; `asked` lists the paths asked for."""
    asked = []

    class Answers(Handler):
        def do_GET(self):
            asked.append(self.path)
            answers = pages.get(self.path, [(404, b"")])
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send(status, body, {"Location": body.decode()} if status in (301, 302) else {})

    with serving(Answers) as url:
        yield url, asked


def dumped(value):
    return [(200, json.dumps(value).encode())]


@pytest.fixture
def store(tmp_path):
    return SchemaStore(tmp_path / "store")


def file_of(tmp_path, name, value):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_a_folder_is_taken_whole(store):
    stored = store.add(documents())
    assert {each.change for each in stored} == {"added", "shadowed"}
    library = store.library()
    assert f"{BASE}/v2/MotionRecord.json" in library
    assert f"{BASE}/v2/MotionRecord.json#/items" in library
    assert library.archive_map().apps[0].appId == "mobile-toolbox"
    assert library.document(f"{BASE}/v1/ArchiveMap.json")["title"] == "ArchiveMap"
    assert {each.change for each in store.add(documents())} == {"unchanged", "shadowed"}
    assert store.library().digest == library.digest
    assert len(library.registry()) == len(library.hashes)


def test_a_store_that_is_not_there_is_empty(store):
    library = store.library()
    assert (library.hashes, library.archive_map()) == ({}, None)
    assert "x" not in library


def test_a_changed_schema_is_said_to_be_changed(store, tmp_path):
    file = file_of(tmp_path, "a.json", {"$id": "https://x.org/a.json"})
    assert [each.change for each in store.add([file])] == ["added"]
    before = store.library()
    file_of(tmp_path, "a.json", {"$id": "https://x.org/a.json", "type": "object"})
    assert [each.change for each in store.add([file])] == ["changed"]
    assert store.library().hash_of("https://x.org/a.json") != before.hash_of("https://x.org/a.json")
    assert before.document("https://x.org/a.json") == {"$id": "https://x.org/a.json"}


def test_a_schema_is_known_by_its_url_and_its_id(store, tmp_path):
    file = file_of(tmp_path, "a.json", {"$id": "https://x.org/a.json"})
    store.add([file], "https://y.org/b.json#")
    assert set(store.library().hashes) == {"https://x.org/a.json", "https://y.org/b.json"}


@pytest.mark.parametrize(
    ("content", "url", "said"),
    [
        ('{"$id": "sharedSchema"}', None, "--url"),
        ("{", None, "not JSON"),
        ("[1]", None, "not a JSON Schema"),
        ('{"assessments": [1]}', None, "not an archive map: assessments/0"),
        ("{}", "relative", "whole URL"),
        ("[" * 100_000, None, "not JSON"),
    ],
)
def test_what_cannot_be_added(store, tmp_path, content, url, said):
    (tmp_path / "a.json").write_text(content)
    good = file_of(tmp_path, "good.json", {"$id": "https://x.org/good.json"})
    with pytest.raises(StoreFault, match=said):
        store.add([tmp_path / "a.json"] if url else [good, tmp_path / "a.json"], url)
    assert store.library().hashes == {}


def test_what_else_cannot_be_added(store, tmp_path):
    with pytest.raises(StoreFault, match="No such file"):
        store.add([tmp_path / "none.json"])
    for name in ("one", "two"):
        file_of(tmp_path, f"{name}/archive-map.json", {"assessments": [], "anyOf": [{"filename": name}]})
    with pytest.raises(StoreFault, match="both archive maps"):
        store.add([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(StoreFault, match="one file"):
        store.add([tmp_path / "one", tmp_path / "two"], "https://x.org/a")


def test_a_damaged_store_says_so(store, tmp_path):
    store.add([file_of(tmp_path, "a.json", {"$id": "https://x.org/a.json"})])
    (document,) = (store.folder / "documents").iterdir()
    good = document.read_bytes()
    document.write_bytes(b"{}")
    with pytest.raises(StoreFault, match="was changed"):
        store.library()
    store.add([tmp_path / "a.json"])
    assert document.read_bytes() == good
    document.unlink()
    with pytest.raises(StoreFault, match="lost"):
        store.library()
    (store.folder / "index.json").write_text('{"version": 2}')
    with pytest.raises(StoreFault, match="later version"):
        store.library()
    (store.folder / "index.json").write_text("{")
    with pytest.raises(StoreFault, match="cannot be read"):
        store.library()


def test_killed_before_the_index_nothing_has_changed(store, tmp_path):
    store.add([file_of(tmp_path, "a.json", {"$id": "https://x.org/a.json"})])
    before = store.library()
    second = file_of(tmp_path, "b.json", {"$id": "https://x.org/b.json"})
    code = (
        "import sys; from pathlib import Path; from carrel.ingest.schemas import SchemaStore; "
        "SchemaStore(Path(sys.argv[1])).add([Path(sys.argv[2])])"
    )
    run = [sys.executable, "-c", code, str(store.folder), str(second)]
    killed = subprocess.run(run, env={**os.environ, "CARREL_FAULT": "schemas.documents"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert store.library() == before
    assert subprocess.run(run, check=False).returncode == 0
    assert set(store.library().hashes) == {"https://x.org/a.json", "https://x.org/b.json"}


def archive_map(*urls):
    return {"assessments": [], "anyOf": [{"filename": f"{n}.json", "jsonSchema": url} for n, url in enumerate(urls)]}


def test_pulling_follows_references_over_http(store):
    pages = {}
    with web(pages) as (server, asked):
        pages["/v7/map.json"] = dumped(archive_map(f"{server}/s/a.json", f"{server}/s/named.json"))
        pages["/s/a.json"] = dumped({"$schema": DRAFT, "allOf": [{"$ref": "b.json#/definitions/X"}, {"$ref": "#"}]})
        pages["/s/b.json"] = [(503, b""), *dumped({"$schema": DRAFT, "items": {"$ref": "deep/c.json"}})]
        pages["/s/deep/c.json"] = [(302, b"/elsewhere.json")]
        pages["/elsewhere.json"] = dumped({"properties": {"$ref": {"type": "string"}, "enum": {"$ref": "../a.json"}}})
        pages["/s/named.json"] = dumped({"$id": f"{server}/own/id.json", "$ref": "near.json"})
        pages["/own/near.json"] = dumped({"type": "object"})
        stored = store.pull(ArchiveMapSource(url=server + "/{version}/map.json", version="v7"))
    names = [
        f"{server}{path}" for path in ("/own/id.json", "/own/near.json", "/s/a.json", "/s/b.json", "/s/deep/c.json")
    ]
    assert sorted(store.library().hashes) == sorted([*names, f"{server}/s/named.json"])
    assert {each.change for each in stored} == {"added"}
    assert asked.count("/s/b.json") == 2


def test_pulling_is_all_or_nothing(store):
    pages = {}
    with web(pages) as (server, _):
        pages["/map.json"] = dumped(archive_map(f"{server}/a.json", f"{server}/gone.json"))
        pages["/a.json"] = dumped({})
        with pytest.raises(StoreFault, match=r"answered 404\. Nothing was taken\. Try again"):
            store.pull(ArchiveMapSource(url=f"{server}/map.json"))
        pages["/map.json"] = dumped({"type": "object", "$id": f"{server}/map.json"})
        with pytest.raises(StoreFault, match="is not an archive map"):
            store.pull(ArchiveMapSource(url=f"{server}/map.json"))
    assert store.library().hashes == {}


def test_pulling_from_mirrors_and_files(store):
    elsewhere = "https://example.org/not-in-the-store/"
    source = ArchiveMapSource(
        url="archive-map.json",
        mirrors={
            "https://sage-bionetworks.github.io/": "nowhere/",
            f"{BASE}/v1/MotionRecord.json": str(DOCUMENTS / "schemas/v1/MotionRecord.json"),
            f"{BASE}/v1/WeatherResult.json": str(DOCUMENTS / "schemas/v1/WeatherResult.json"),
            f"{BASE}/v2/DistanceRecord.json": str(DOCUMENTS / "schemas/v2/DistanceRecord.json"),
            "https://example.org/field/": str(DOCUMENTS / "schemas/field") + "/",
            f"{BASE}/": str(SCHEMAS) + "/",
            elsewhere: "missing/",
        },
    )
    with pytest.raises(StoreFault, match=r"not-in-the-store.* cannot be read"):
        store.pull(source, DOCUMENTS)
    (store.folder.parent / "missing").mkdir()
    document = store.folder.parent / "archive-map.json"
    document.write_text(json.dumps(archive_map(f"{BASE}/v2/WeatherResult.json")))
    mirrors = {BASE: SCHEMAS.as_uri()}
    store.pull(ArchiveMapSource(url=str(document), mirrors=mirrors))
    names = ("WeatherResult", "ResultData", "AnswerType", "AssessmentResultObject")
    assert set(store.library().hashes) == {f"{BASE}/v2/{name}.json" for name in names}


def test_a_server_that_does_not_answer():
    with pytest.raises(FetchFault, match="cannot be reached"):
        Fetcher({}, wait=0).fetch("http://127.0.0.1:1/a.json")
    with web({"/a": [(500, b"")]}) as (server, asked):
        with pytest.raises(FetchFault, match="answered 500"):
            Fetcher({}, wait=0).fetch(f"{server}/a")
        assert len(asked) == 3


def test_a_document_that_never_ends(monkeypatch):
    monkeypatch.setattr("carrel.ingest.schemas.fetcher.MAX_BYTES", 10)
    with web({"/a": [(200, b"x" * 100)]}) as (server, _), pytest.raises(FetchFault, match="longer than 10"):
        Fetcher({}).fetch(f"{server}/a")


def test_an_archive_map_that_leads_nowhere_near_an_end(store, monkeypatch):
    monkeypatch.setattr("carrel.ingest.schemas.store.MAX_DOCUMENTS", 1)
    pages = {}
    with web(pages) as (server, _):
        pages["/map.json"] = dumped(archive_map(f"{server}/a.json"))
        pages["/a.json"] = dumped({"$ref": "b.json"})
        pages["/b.json"] = dumped({"$ref": "c.json"})
        with pytest.raises(StoreFault, match="more than 1 schemas"):
            store.pull(ArchiveMapSource(url=f"{server}/map.json"))


def test_references_inside_data_and_embedded_documents_are_none():
    schema = {
        "$id": "https://x.org/a.json",
        "enum": [{"$ref": "no.json"}],
        "$defs": {"E": {"$id": "https://x.org/e.json", "$ref": "f.json"}, "default": {"$ref": "yes.json"}},
        "allOf": [
            {"$ref": "e.json"},
            {"$ref": "#/x"},
            {"$ref": "http://json-schema.org/draft-07/schema#"},
            {"$ref": 1},
        ],
    }
    assert direct_references(schema, "https://y.org/a.json") == ["https://x.org/f.json", "https://x.org/yes.json"]
