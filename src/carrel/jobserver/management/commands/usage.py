"""`usage [--csv] [--rebuild] [--project P] [--person U] [--backend B] [--since YYYY-MM] [--until YYYY-MM]`."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from carrel.jobserver.models import UsageMonth
from carrel.jobserver.service import usage
from carrel.jobserver.usage_report import csv_rows, grouped, narrowed

FILTERS = ("project", "person", "backend", "since", "until")


class Command(BaseCommand):
    help = "Say what projects and people used, by month: jobs, run time, CPU hours, memory."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--csv", action="store_true", help="all months as CSV, instead of a sum for each project")
        parser.add_argument("--rebuild", action="store_true", help="work all months out again from the jobs first")
        for name in FILTERS:
            parser.add_argument(f"--{name}", default="", help="only this; months as 2026-11")

    def handle(self, **options: Any) -> None:
        if options["rebuild"]:
            usage.rebuild()
        else:
            usage.refresh_when_due(timezone.now())
        rows = narrowed(UsageMonth.objects.all(), {name: options[name] for name in FILTERS})
        if options["csv"]:
            for line in csv_rows(rows):
                self.stdout.write(line, ending="")
            return
        for row in grouped(rows, "project"):
            hours = f"{row['run_hours']:.1f} h run time, {row['cpu_hours']:.1f} CPU hours"
            self.stdout.write(f"{row['name']}: {row['total_jobs']} jobs, {row['total_failed']} failed, {hours}")
