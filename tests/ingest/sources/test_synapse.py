"""Synapse, by a server of our own that speaks the part of its REST API that is needed, through synapseclient."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.http_server import Handler, serving

from carrel.ingest.sources import AccessRefused, ArchiveChanged, Source, SourceFault, Unavailable, source_of
from carrel.ingest.sources import synapse as sources
from carrel.ingest.sources.synapse import SynapseSettings, SynapseSource
from carrel.ingest.values import ArchiveRef
from carrel.synthetic import Knobs, write


class Synapse:
    """Files by id, each (etag, annotations, bytes); a folder syn1 with a folder syn2 inside; a view syn9, whose pages
    have the rows that a test gives; a dataset syn8, a table syn7."""

    kinds = {"syn1": "folder", "syn3": "file", "syn7": "table", "syn8": "dataset", "syn9": "entityview"}

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
        self.pages = [[{"values": ["syn3"]}, {"values": [4]}], [{"values": ["syn5"]}]]
        self.sql = None
        self.url = None

    def get(self, path):
        if path == "/repo/v1/userProfile":
            return {"userName": "me", "ownerId": "1", "displayName": "me"}
        if "/table/" in path:
            return self.query(path)
        parts = path.split("/")
        if parts[-1] == "type":
            return {"type": self.kinds[parts[-2]]} if parts[-2] in self.kinds else None
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
        if "nextPage" in path:
            return {"queryResults": {"rows": self.pages[1]}}
        return {"queryResult": {"queryResults": {"rows": self.pages[0]}, "nextPageToken": {"token": "x"}}}

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
            self.sql = body.get("query", {}).get("sql", self.sql)
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

    class Synapses(Handler):
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
            self.told(200, data)

        def answer(self, make):
            world.asked.append(self.path)
            if world.broken:
                return self.told(world.broken.pop(0), b'{"reason": "broken"}')
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in world.tokens:
                return self.told(401, b'{"reason": "expired"}')
            value = make(self.path)
            return (
                self.told(404, b'{"reason": "Entity does not exist"}')
                if value is None
                else self.told(200, json.dumps(value).encode())
            )

        def told(self, status, body):
            self.send(status, body, {"Content-Type": "application/json"})

    with serving(Synapses) as world.url:
        monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", "good")
        monkeypatch.setenv("HOME", str(tmp_path))
        yield world


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
    for view in ("syn9", "syn8"):
        refs = list(SynapseSource(view, settings, "assessmentId = 'x'").list())
        assert [(ref.uri, ref.etag) for ref in refs] == [(f"synapse:syn{n}", f"e{n}") for n in (3, 4, 5)]
        assert synapse.sql == f"SELECT id FROM {view} WHERE assessmentId = 'x'"


def test_a_file_view_says_the_etags_itself(synapse, settings):
    synapse.pages = [[{"values": ["syn3"], "etag": "e3"}], [{"values": ["syn5"], "etag": "late"}]]
    refs = list(SynapseSource("syn9", settings).list())
    assert [(ref.uri, ref.etag) for ref in refs] == [("synapse:syn3", "e3"), ("synapse:syn5", "late")]
    assert not [path for path in synapse.asked if path.endswith(("/entity/syn3", "/entity/syn5"))]
    with pytest.raises(ArchiveChanged), SynapseSource("syn9", settings).open(refs[1]):
        pass


def test_one_file_alone(synapse, settings):
    assert [ref.uri for ref in SynapseSource("syn3", settings).list()] == ["synapse:syn3"]


def test_a_file_that_goes_while_it_is_listed_is_not_there(synapse, settings):
    del synapse.files["syn5"]
    assert [ref.uri for ref in SynapseSource("syn1", settings).list()] == ["synapse:syn3", "synapse:syn4"]


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
        with pytest.raises(ArchiveChanged), source.open(ref):
            pass
    synapse.failure = "NOT_FOUND"
    with pytest.raises(ArchiveChanged), source.open(ArchiveRef("synapse:syn3", "e3")):
        pass
    synapse.failure = "UNAUTHORIZED"
    with pytest.raises(AccessRefused, match="UNAUTHORIZED"), source.open(ArchiveRef("synapse:syn3", "e3")):
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
    with pytest.raises(AccessRefused, match=r"credentials|expired"):
        list(source.list())
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", "renewed")
    assert len(list(source.list())) == 3


def test_no_credentials(settings, monkeypatch):
    monkeypatch.delenv("SYNAPSE_AUTH_TOKEN")
    with pytest.raises(AccessRefused, match="SYNAPSE_AUTH_TOKEN"):
        list(SynapseSource("syn1", settings).list())


def test_places_that_are_none(synapse, settings):
    for place in ("synapse:folder", "synapse:", "synapse:syn1?", "synapse:syn1?x=1", "synapse:syn1?where="):
        with pytest.raises(SourceFault, match="write synapse:syn123"):
            source_of(place)
    assert source_of("synapse:syn12") == source_of("synapse://syn12") == SynapseSource("syn12")
    condition = "assessmentId = 'x' AND osName <> 'a&b=c+d'"
    assert source_of(f"synapse:syn12?where={condition}") == SynapseSource("syn12", where=condition)
    assert source_of("synapse://syn12?where=a%20%3D%20'b'") == SynapseSource("syn12", where="a = 'b'")
    with pytest.raises(SourceFault, match="only a view or dataset"):
        list(SynapseSource("syn1", settings, "a = 1").list())
    with pytest.raises(SourceFault, match="it is a table"):
        list(SynapseSource("syn7", settings).list())
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


def configured(home, url):
    (home / ".synapseConfig").write_text(
        f"[endpoints]\nrepoEndpoint = {url}/repo/v1\nauthEndpoint = {url}/auth/v1\n"
        f"fileHandleEndpoint = {url}/file/v1\nportalEndpoint = {url}\n"
    )


def carrel(*words, home, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SYNAPSE", "CARREL"))}
    return subprocess.run(
        [Path(sys.executable).parent / "carrel", "ingest", *words],
        env={**clean, "HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def study(synapse, tmp_path):
    """Archives of a made-up study, as files of the stand-in with their metadata as annotations."""
    truth = write(Knobs(records=3, hz=2, seconds=1), tmp_path / "study")
    archives = sorted((tmp_path / "study" / "archives").glob("*.zip"))
    synapse.files = {
        f"syn{3 + number}": (
            f"e{number}",
            {key: [value] for key, value in json.loads(path.with_suffix(".json").read_text()).items()},
            path.read_bytes(),
        )
        for number, path in enumerate(archives)
    }
    (tmp_path / "mapping.yaml").write_text("schemas: {https://example.org/schemas/taskData.json: sharedSchema_v1}")
    configured(tmp_path, synapse.url)
    added = carrel("schemas", "add", "study/schemas", home=tmp_path)
    assert added.returncode == 0, added.stderr
    return truth


def test_synapse_on_the_command_line(synapse, study, tmp_path):
    given = ("--warehouse", "warehouse", "--mapping", "mapping.yaml", "--workers", "0")
    done = carrel("run", "synapse://syn1", *given, "--json", home=tmp_path, SYNAPSE_AUTH_TOKEN="good")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["dispositions"] == {"ingested": 3}
    assert report["rows"]["ArchiveMetadata_v1"] == len(study["tables"]["ArchiveMetadata_v1"]["rows"])
    again = carrel("run", "synapse:syn9?where=a = 1", *given, "--json", home=tmp_path, SYNAPSE_AUTH_TOKEN="good")
    assert json.loads(again.stdout)["known"] == 3, again.stderr
    assert synapse.sql == "SELECT id FROM syn9 WHERE a = 1"
    told = carrel("reconcile", "synapse:syn9", "--warehouse", "warehouse", home=tmp_path, SYNAPSE_AUTH_TOKEN="good")
    assert "Everything is accounted for." in told.stdout


def test_without_credentials_the_command_line_says_where_to_put_them(synapse, tmp_path):
    configured(tmp_path, synapse.url)
    (tmp_path / "schemas").mkdir()
    given = ("run", "synapse:syn1", "--warehouse", "warehouse")
    none = carrel(*given, home=tmp_path)
    assert (none.returncode, none.stderr.count("\n")) == (1, 1)
    assert "SYNAPSE_AUTH_TOKEN" in none.stderr
    wrong = carrel(*given, home=tmp_path, SYNAPSE_AUTH_TOKEN="secret")
    assert wrong.returncode == 1
    assert "secret" not in wrong.stderr + wrong.stdout
    assert "Traceback" not in wrong.stderr
    (tmp_path / ".synapseConfig").write_text("authtoken secret")
    broken = carrel(*given, home=tmp_path)
    assert broken.returncode == 1
    assert broken.stderr.startswith("Error: the configuration file of Synapse")
    assert "secret" not in broken.stderr
