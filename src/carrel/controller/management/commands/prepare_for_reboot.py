"""`prepare_for_reboot --backend B [--status] [-y]`."""

import re
from typing import Any

from django.core.management.base import CommandError

from carrel.controller.management.base import AdminCommand, actor, backend_slug
from carrel.controller.models import Job
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import administration, flags

WARNING = """== DANGER ZONE ==

This will pause backend '{backend}' and stop all its running jobs. They start again from their beginning
once it is no longer paused (pause off {backend}).
"""


def slug_of(job: Job) -> str:
    """`workspace-action-id` in lower case, everything but letters, digits, - and _ made a -."""
    text = re.sub(r"[^\w\s-]", "", f"{job.workspace}-{job.action}-{job.id}".lower())
    return re.sub(r"[-\s]+", "-", text).strip("-_")


class Command(AdminCommand):
    help = "Pause a backend and stop its running jobs, so that its server can restart; they run again afterwards."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--backend", required=True, type=backend_slug)
        parser.add_argument("--status", "-s", action="store_true", help="only say how far the preparation is")
        parser.add_argument("--skip-confirm", "-y", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        if options["status"]:
            self.status(options["backend"])
            return
        if not options["skip_confirm"]:
            self.confirm(options["backend"])
        self.prepare(options["backend"])

    def confirm(self, backend: str) -> None:
        self.say(WARNING.format(backend=backend))
        if input("Are you sure you want to continue? (y/N)").strip().lower() != "y":
            raise CommandError("Not confirmed: nothing was changed.")

    def prepare(self, backend: str) -> None:
        who = actor()
        administration.note("prepare_for_reboot", who, backend)
        self.say(f"pausing backend {backend}...")
        self.say_flags(administration.pause(backend, True, who))
        for job in administration.running_jobs(backend):
            self.say(f"resetting job {slug_of(job)} to PENDING")
            self.reset(job, backend, who)

    def reset(self, job: Job, backend: str, who: str) -> None:
        """One job whose row makes no sense does not keep the others from being reset."""
        try:
            if administration.reset_for_reboot(job.id, backend, who):
                self.say(f"Killing job {slug_of(job)}")
            else:
                self.say(f"Leaving job {slug_of(job)}, which has ended or is publishing its outputs just now")
        except DATABASE_AWAY:
            raise
        except Exception as error:
            self.say(f"Job {slug_of(job)} could not be reset ({type(error).__name__}): its row makes no sense")

    def status(self, backend: str) -> None:
        paused = flags.scheduler_flags(backend).paused
        running, cancelling = len(administration.running_jobs(backend)), administration.jobs_being_cancelled(backend)
        self.say("", "== PREPARING FOR REBOOT ==", f"1) backend '{backend}' is {'' if paused else 'not '}paused")
        self.say(f"2) {running} job(s) are running")
        if cancelling:
            self.say(f"3) {cancelling} job(s) are being cancelled")
        if not paused:
            self.say(f"Backend '{backend}' is not paused. Run prepare_for_reboot, then check the status again")
        elif not running and not cancelling:
            self.say("", "== READY TO REBOOT ==", "Safe to reboot now")
