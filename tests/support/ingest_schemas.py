"""Fixtures of tests that need schema stores: libraries of documents, and records by assessment."""

import json

import pytest
from tests.support.ingest import documents

from carrel.ingest.archives import record_of
from carrel.ingest.schemas import SchemaStore

BASE = "https://sage-bionetworks.github.io/mobile-client-json/schemas"


@pytest.fixture(scope="session")
def whole_library(tmp_path_factory):
    """A library of every document that the tests have."""
    store = SchemaStore(tmp_path_factory.mktemp("schemas"))
    store.add(documents())
    return store.library()


@pytest.fixture
def record():
    def make(assessment="reading", revision=5, **metadata):
        return record_of(
            {
                "recordid": "r1",
                "assessmentid": assessment,
                "assessmentrevision": revision,
                "uploadedon": "2024-01-01T00:00:00.000Z",
                **metadata,
            }
        )

    return make


@pytest.fixture
def library_of(tmp_path):
    """A library of documents by URL, with an archive map if one is given."""

    def make(documents, archive_map=None):
        store = SchemaStore(tmp_path / f"store{len(list(tmp_path.iterdir()))}")
        for number, (url, document) in enumerate(documents.items()):
            file = tmp_path / f"document{number}.json"
            file.write_text(json.dumps(document))
            store.add([file], url)
        if archive_map is not None:
            file = tmp_path / "archive-map.json"
            file.write_text(json.dumps(archive_map))
            store.add([file])
        return store.library()

    return make
