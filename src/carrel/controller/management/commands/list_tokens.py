"""`list_tokens [--backend B] [--all]`."""

from typing import Any

from carrel.controller.management.base import AdminCommand, backend_slug
from carrel.controller.models import Token


class Command(AdminCommand):
    help = "List the tokens made by create_token. The tokens themselves are not kept and cannot be shown."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--backend", type=backend_slug)
        parser.add_argument("--all", action="store_true", help="revoked ones too")

    def handle(self, **options: Any) -> None:
        rows = Token.objects.order_by("backend", "kind", "id")
        if options["backend"]:
            rows = rows.filter(backend=options["backend"])
        if not options["all"]:
            rows = rows.filter(revoked_at=None)
        for token in rows:
            self.say(line(token))


def line(token: Token) -> str:
    revoked = f", revoked {token.revoked_at:%Y-%m-%dT%H:%M:%SZ}" if token.revoked_at else ""
    created = f"made {token.created_at:%Y-%m-%dT%H:%M:%SZ} by {token.created_by}"
    return f"{token.pk} [{token.backend}] {token.kind} '{token.name}' {created}{revoked}"
