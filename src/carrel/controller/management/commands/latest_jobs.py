"""`latest_jobs --workspace W`."""

import json
from dataclasses import asdict
from typing import Any

from carrel.controller import service, settings
from carrel.controller.management.base import AdminCommand
from carrel.controller.models import Job


class Command(AdminCommand):
    help = "Print, as JSON, the latest not cancelled job of each action of a workspace: backend -> action -> job."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--workspace", required=True)

    def handle(self, **options: Any) -> None:
        workspace = options["workspace"]
        latest: dict[str, dict[str, Any]] = {}
        for backend in settings.get().backends:
            rows = Job.objects.filter(backend=backend, workspace=workspace).order_by("action")
            names = rows.values_list("action", flat=True).distinct()
            jobs = service.latest_jobs(backend, workspace, names)
            latest[backend] = {str(name): asdict(job) for name, job in jobs.items()}
        self.say(json.dumps(latest, indent=2, default=str))
