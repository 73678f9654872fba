"""Backends for people's programs, and the catalogue that a backend puts here."""

from datetime import datetime
from typing import Any, Literal, cast

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from ninja.responses import Status
from pydantic import BaseModel, Field

from carrel.jobserver.api.answers import ApiProblem, ApiRefusal, errors
from carrel.jobserver.api.bodies import BodyError, check_storable
from carrel.jobserver.api.callers import BackendAuth, ScopedAuth, caller_of
from carrel.jobserver.models import Backend
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service.catalogues import store_catalogue
from carrel.jobserver.views.probes import is_missing
from carrel.messages.catalogue import CatalogueError, parse_catalogue

router = Router(tags=["backends"])


class BackendOut(BaseModel):
    """A backend as its controller last told of it."""

    slug: str = Field(examples=["north"])
    name: str
    description: str
    is_active: bool = Field(description="Whether it takes requests")
    state: Literal["up", "paused", "maintenance", "missing"]
    last_seen_at: datetime | None
    is_member: bool = Field(description="Whether you may choose it")
    has_catalogue: bool


class StoredCatalogue(BaseModel):
    """The version of a catalogue that counts now."""

    digest: str
    received_at: datetime
    is_new: bool = Field(description="False: it is what was there before")


@router.get("backends", auth=ScopedAuth(Scope.READ), response={200: list[BackendOut], **errors(401, 403, 429)})
def backend_list(request: HttpRequest) -> list[BackendOut]:
    """The backends that you may know of, in their order."""
    caller = caller_of(request)
    rows = visible_backends(caller.person, caller.rights)
    member_of = set(caller.user.backends.values_list("pk", flat=True))
    with_catalogue = set(rows.filter(catalogues__isnull=False).values_list("pk", flat=True))
    now = timezone.now()
    return [
        BackendOut(
            slug=row.slug,
            name=row.name,
            description=row.description,
            is_active=row.is_active,
            state=state_word(row, now),
            last_seen_at=row.last_seen_at,
            is_member=row.pk in member_of,
            has_catalogue=row.pk in with_catalogue,
        )
        for row in rows
    ]


@router.get(
    "backends/{slug}/catalogue",
    auth=ScopedAuth(Scope.READ),
    response={200: dict[str, Any], **errors(401, 403, 404, 429)},
)
def catalogue(request: HttpRequest, slug: str) -> dict[str, Any]:
    """What data a backend offers, as it last said."""
    caller = caller_of(request)
    backend = visible_backends(caller.person, caller.rights).filter(slug=slug).first()
    version = backend.catalogues.first() if backend is not None else None
    if version is None:
        raise ApiRefusal(404, "There is no such backend, you may not see it, or it has told of no data yet.")
    return cast(dict[str, Any], version.document)


@router.put(
    "backends/{slug}/catalogue",
    auth=BackendAuth(),
    response={200: StoredCatalogue, 201: StoredCatalogue, **errors(403)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "description": "carrel.messages.catalogue"}}},
        }
    },
)
def put_catalogue(request: HttpRequest, slug: str) -> Status:
    """Say what data this backend offers: the document that `carrel catalogue build` makes."""
    backend = cast(Backend, caller_of(request).backend)
    if backend.slug != slug:
        raise ApiRefusal(403, f"This token is of the backend {backend.slug}, not of {slug[:100]}.")
    try:
        document = parse_catalogue(request.body)
        check_storable(document.model_dump(mode="json"), "catalogue")
    except CatalogueError as error:
        lines = str(error).splitlines()
        problems = [ApiProblem(where=where, what=what) for where, _, what in (line.partition(": ") for line in lines)]
        raise ApiRefusal(400, "This is no catalogue.", problems) from None
    except BodyError as error:
        raise ApiRefusal(400, str(error)) from None
    if document.backend != backend.slug:
        raise ApiRefusal(400, f"The catalogue is of the backend {document.backend}, the token of {backend.slug}.")
    version, is_new = store_catalogue(backend, document, request)
    stored = StoredCatalogue(digest=version.digest, received_at=version.received_at, is_new=is_new)
    return Status(201 if is_new else 200, stored)


def state_word(backend: Backend, now: datetime) -> Literal["up", "paused", "maintenance", "missing"]:
    """Say how a backend stands now, in one word."""
    if is_missing(backend, now):
        return "missing"
    if backend.in_maintenance:
        return "maintenance"
    return "paused" if backend.is_paused else "up"
