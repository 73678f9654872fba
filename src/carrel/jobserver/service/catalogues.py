"""Catalogues of what data backends offer, as the backends put them."""

import hashlib

from django.db import transaction

from carrel.jobserver.models import Backend, CatalogueVersion
from carrel.jobserver.service.audit import Actor, record
from carrel.messages.catalogue import Catalogue, dump_catalogue

KEPT_VERSIONS = 100


def store_catalogue(backend: Backend, catalogue: Catalogue, actor: Actor) -> tuple[CatalogueVersion, bool]:
    """Store what a backend says of its data; the same as before makes no new version. Older ones are left out in time.

    Returns the version that counts, and whether it is new.
    """
    digest = hashlib.sha256(dump_catalogue(catalogue)).hexdigest()
    with transaction.atomic():
        Backend.objects.select_for_update().get(pk=backend.pk)
        latest = backend.catalogues.first()
        if latest is not None and latest.digest == digest:
            return latest, False
        document = catalogue.model_dump(mode="json", exclude_defaults=True)
        version = CatalogueVersion.objects.create(backend=backend, document=document, digest=digest)
        kept = backend.catalogues.values_list("pk", flat=True)[:KEPT_VERSIONS]
        backend.catalogues.exclude(pk__in=list(kept)).delete()
        record(
            actor,
            "catalogue.changed",
            subject_type="backend",
            subject=backend.slug,
            backend=backend,
            old={"digest": latest.digest} if latest else None,
            new={"digest": digest, "built": catalogue.built},
        )
    return version, True
