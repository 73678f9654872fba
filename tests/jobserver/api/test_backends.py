"""Backends for people's programs, and the catalogue that a backend puts."""

import json
from typing import Any

import pytest
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import add_backend, add_person

from carrel.jobserver.models import AuditEvent, BackendMembership, CatalogueVersion
from carrel.units.limits import MAX_CATALOGUE_BYTES

CATALOGUE: dict[str, Any] = {
    "format": 1,
    "backend": "north",
    "built": "2026-11-22",
    "databases": [
        {
            "name": "default",
            "dialect": "duckdb",
            "data_sets": [
                {
                    "name": "visits",
                    "tables": [{"name": "visits", "columns": [{"name": "patient_id", "type": "BIGINT"}]}],
                }
            ],
        }
    ],
}


def put(api: Api, body: Any, slug: str = "north", backend: str = "north") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.as_backend("PUT", f"backends/{slug}/catalogue", backend, content=content)


def test_the_same_catalogue_makes_no_new_version(api: Api) -> None:
    first = put(api, CATALOGUE)
    assert (first.status_code, first.json()["is_new"]) == (201, True)
    again = put(api, dict(reversed(CATALOGUE.items())))
    assert (again.status_code, again.json()["is_new"], again.json()["digest"]) == (200, False, first.json()["digest"])
    changed = put(api, {**CATALOGUE, "built": "2026-11-23"})
    assert changed.status_code == 201
    assert CatalogueVersion.objects.count() == 2
    assert AuditEvent.objects.filter(action="catalogue.changed", actor="backend:north").count() == 2
    ann = add_person("ann")
    answer = api.ask("GET", "backends/north/catalogue", f"Bearer {personal_token(ann)}")
    assert answer.json()["built"] == "2026-11-23"
    assert api.ask("GET", "backends/south/catalogue", f"Bearer {personal_token(ann)}").status_code == 404


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**CATALOGUE, "format": 2}, "format"),
        ({**CATALOGUE, "secret": 1}, "secret"),
        (b"nonsense", "catalogue"),
        (b"", "catalogue"),
        (b"[" * 5000, "catalogue"),
        ({**CATALOGUE, "backend": "\0"}, "backend"),
    ],
)
def test_what_is_no_catalogue(api: Api, body: Any, where: str) -> None:
    answer = put(api, body)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, where)
    assert not CatalogueVersion.objects.exists()


def test_it_is_bounded_and_of_this_very_backend(api: Api) -> None:
    long = put(api, b" " * (MAX_CATALOGUE_BYTES + 1))
    assert long.status_code == 400
    assert put(api, CATALOGUE, slug="south").status_code == 403
    assert put(api, CATALOGUE, slug="south", backend="south").status_code == 400
    assert api.ask("PUT", "backends/north/catalogue", json=CATALOGUE).status_code == 403


def test_backends_that_one_may_know_of(api: Api) -> None:
    add_backend("west", is_listed=False)
    add_backend("east", last_seen_at="2026-01-01T00:00:00Z")
    put(api, CATALOGUE)
    ann = add_person("ann")
    BackendMembership.objects.create(backend=api.south, user=ann)
    rows = api.ask("GET", "backends", f"Bearer {personal_token(ann)}").json()
    assert [(row["slug"], row["state"], row["is_member"], row["has_catalogue"]) for row in rows] == [
        ("east", "missing", False, False),
        ("north", "up", False, True),
        ("south", "up", True, False),
    ]
