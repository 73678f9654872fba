"""Synapse, by a server of our own that speaks the part of its REST API that is needed, through synapseclient."""

import hashlib
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from carrel.ingest.sources import Changed, Refused, Source, SourceFault, Unavailable, source_of
from carrel.ingest.sources import synapse as sources
from carrel.ingest.sources.synapse import SynapseSettings, SynapseSource
from carrel.ingest.values import ArchiveRef


class Synapse:
    """Files by id, each (etag, annotations, bytes); a folder syn1 with a folder syn2 inside; a view syn9."""

    def __init__(self):
        self.files = {
            f"syn{n}": (f"e{n}", {"recordId": [f"r{n}"], "participantVersion": [1]}, b"zip%d" % n) for n in (3, 4, 5)
        }
        self.tokens = {"good"}
        self.broken = []
        self.asked = []
        self.damaged = 0
        self.processing = 1
        self.failure = None
        self.url = None

    def get(self, path):
        if path == "/repo/v1/userProfile":
            return {"userName": "me", "ownerId": "1", "displayName": "me"}
        if path.startswith("/repo/v1/entity/syn9/table/"):
            return self.query(path)
        parts = path.split("/")
        kinds = {"syn1": "folder", "syn9": "entityview"}
        if parts[-1] == "type":
            return {"type": kinds[parts[-2]]} if parts[-2] in kinds else None
        entity = parts[4]
        if entity not in self.files:
            return None
        etag, annotations, _ = self.files[entity]
        if parts[-1] == "annotations2":
            return {
                "id": entity,
                "etag": etag,
                "annotations": {k: {"type": "STRING", "value": v} for k, v in annotations.items()},
            }
        return {"id": entity, "etag": etag, "dataFileHandleId": entity.removeprefix("syn")}

    def query(self, path):
        if self.processing:
            self.processing -= 1
            return {"jobState": "PROCESSING"}
        page = {"queryResults": {"rows": [{"values": ["syn3"]}, {"values": [4]}]}, "nextPageToken": {"token": "x"}}
        if "nextPage" in path:
            return {"queryResults": {"rows": [{"values": ["syn5"]}]}}
        return {"queryResult": page}

    def post(self, path, body):
        if path == "/repo/v1/entity/children":
            if body["parentId"] == "syn2":
                return {"page": [{"id": "syn5", "type": "org.sagebionetworks.repo.model.FileEntity"}]}
            if body["nextPageToken"] is None:
                page = [
                    {"id": "syn3", "type": "x.FileEntity"},
                    {"id": "syn2", "type": "org.sagebionetworks.repo.model.Folder"},
                ]
                return {"page": page, "nextPageToken": "more"}
            return {"page": [{"id": "syn4", "type": "x.FileEntity"}]}
        if path.endswith("/async/start"):
            return {"token": "job"}
        (wanted,) = body["requestedFiles"]
        if self.failure:
            return {"requestedFiles": [{"failureCode": self.failure}]}
        data = self.files[wanted["associateObjectId"]][2]
        handle = {"contentMd5": hashlib.md5(data).hexdigest()}
        return {
            "requestedFiles": [{"preSignedURL": f"{self.url}/data/{wanted['associateObjectId']}", "fileHandle": handle}]
        }


@pytest.fixture
def synapse(monkeypatch, tmp_path):
    world = Synapse()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/data/"):
                return self.data(self.path.rpartition("/")[2])
            return self.answer(world.get)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return self.answer(lambda path: world.post(path, body))

        def data(self, entity):
            data = world.files[entity][2]
            if world.damaged:
                world.damaged -= 1
                data = b"damaged"
            self.send(200, data)

        def answer(self, make):
            world.asked.append(self.path)
            if world.broken:
                return self.send(world.broken.pop(0), b'{"reason": "broken"}')
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in world.tokens:
                return self.send(401, b'{"reason": "expired"}')
            value = make(self.path)
            return (
                self.send(404, b'{"reason": "Entity does not exist"}')
                if value is None
                else self.send(200, json.dumps(value).encode())
            )

        def send(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    world.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", "good")
    monkeypatch.setenv("HOME", str(tmp_path))
    yield world
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(synapse):
    return SynapseSettings(synapse.url, attempts=3, wait=0.01, timeout=10)


def test_a_folder_is_listed_whole_and_read_with_its_annotations(synapse, settings):
    source = pickle.loads(pickle.dumps(SynapseSource("syn1", settings)))
    assert isinstance(source, Source)
    with source:
        refs = list(source.list())
        assert [(ref.uri, ref.etag) for ref in refs] == [(f"synapse:syn{n}", f"e{n}") for n in (3, 5, 4)]
        with source.open(refs[0]) as fetched:
            assert (fetched.data, fetched.metadata) == (b"zip3", {"recordId": "r3", "participantVersion": 1})
        source.acknowledge(refs)
        assert source.problems() == ()


def test_a_view_is_queried_page_by_page(synapse, settings):
    assert [ref.uri for ref in SynapseSource("syn9", settings, "assessmentId = 'x'").list()] == [
        "synapse:syn3",
        "synapse:syn4",
        "synapse:syn5",
    ]


def test_large_files_are_kept_on_disk_while_they_are_open(synapse, settings, monkeypatch):
    monkeypatch.setattr(sources, "IN_MEMORY", 2)
    synapse.files["syn3"] = ("e3", {}, b"large")
    with SynapseSource("syn1", settings).open(ArchiveRef("synapse:syn3", "e3")) as fetched:
        assert fetched.data.read_bytes() == b"large"
        assert fetched.metadata is None
    assert not fetched.data.exists()


def test_what_changed_or_went_is_left_for_the_next_run(synapse, settings):
    source = SynapseSource("syn1", settings)
    for ref in (ArchiveRef("synapse:syn3", "old"), ArchiveRef("synapse:syn77", "e")):
        with pytest.raises(Changed), source.open(ref):
            pass
    synapse.failure = "NOT_FOUND"
    with pytest.raises(Changed), source.open(ArchiveRef("synapse:syn3", "e3")):
        pass
    synapse.failure = "UNAUTHORIZED"
    with pytest.raises(Refused, match="UNAUTHORIZED"), source.open(ArchiveRef("synapse:syn3", "e3")):
        pass


def test_a_5xx_and_a_damaged_download_are_tried_again(synapse, settings):
    source = SynapseSource("syn1", settings)
    refs = list(source.list())
    synapse.broken = [503, 500]
    synapse.damaged = 2
    with source.open(refs[0]) as fetched:
        assert fetched.data == b"zip3"
    synapse.damaged = 99
    with pytest.raises(Unavailable, match="came damaged, 3 times"), source.open(refs[0]):
        pass
    synapse.broken = [503] * 50
    with pytest.raises(Unavailable, match="answered 503"), source.open(refs[0]):
        pass


def test_expired_credentials_are_looked_for_anew_once(synapse, settings, monkeypatch):
    source = SynapseSource("syn1", settings)
    assert len(list(source.list())) == 3
    synapse.tokens = {"renewed"}
    with pytest.raises(Refused, match=r"credentials|expired"):
        list(source.list())
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", "renewed")
    assert len(list(source.list())) == 3


def test_no_credentials(settings, monkeypatch):
    monkeypatch.delenv("SYNAPSE_AUTH_TOKEN")
    with pytest.raises(Refused, match="SYNAPSE_AUTH_TOKEN"):
        list(SynapseSource("syn1", settings).list())


def test_places_that_are_none(synapse, settings):
    with pytest.raises(SourceFault, match="write as syn123"):
        source_of("synapse:folder")
    assert source_of("synapse:syn12") == SynapseSource("syn12")
    with pytest.raises(SourceFault, match="does not exist"):
        list(SynapseSource("syn404", settings).list())
    source = SynapseSource("syn1", settings)
    refs = list(source.list())
    synapse.broken = [400]
    with pytest.raises(SourceFault, match="answered 400"), source.open(refs[0]):
        pass


def test_a_server_that_is_not_there(synapse):
    with pytest.raises(Unavailable, match="cannot be reached"):
        list(SynapseSource("syn1", SynapseSettings("http://127.0.0.1:1", attempts=1, wait=0.01)).list())
