"""Serving the Django project with waitress, threads in one process."""

import os
from collections.abc import Callable

from carrel.units.privacy import close_to_others
from carrel.units.settings import SettingsError

ENOUGH_FOR_REQUESTS = 12


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int | None = None,
    *,
    with_sweep: bool = False,
    set_up_logs: bool = True,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serve the apps of CARREL_APPS until the process is ended.

    `port` 0 takes a free one; `on_ready(port)` is called once connections are taken. `with_sweep`: run in threads of
    this process what else the apps need (the controller's sweep and its links to polled job servers, the job server's
    link, the review site's uploads). `set_up_logs`: False where the caller has done it. `threads`: at least one more
    per backend than the requests to answer at once, since each agent's long poll holds one (the default sees to it).

    Raises CannotStart or SettingsError, with a sentence.
    """
    close_to_others()
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    from django.conf import settings

    from carrel.web.known import TokenKnown, of_controller, of_jobserver
    from carrel.web.server import create_server
    from carrel.web.wsgi import application

    needed = ENOUGH_FOR_REQUESTS
    known: list[TokenKnown] = []
    known_sessions: list[TokenKnown] = []
    starts: list[Callable[[], object]] = []
    if "controller" in settings.APPS:
        from carrel.controller import checks, sweep
        from carrel.controller import settings as controller_settings
        from carrel.controller.link import threads as links

        _require("DJANGO_CONTROLLER_SECRET_KEY", "DJANGO_CONTROLLER_ALLOWED_HOSTS")
        checks.before_start()
        needed += 2 * len(controller_settings.get().backends)
        known.append(of_controller())
        starts.append(lambda: links.start(sweep.start_thread()))
    if "jobserver" in settings.APPS:
        from carrel.jobserver import checks as jobserver_checks
        from carrel.jobserver import link_process

        _require("DJANGO_JOBSERVER_SECRET_KEY", "JOBSERVER_URL")
        jobserver_checks.before_start()
        of_tokens, of_sessions = of_jobserver()
        known.append(of_tokens)
        known_sessions.append(of_sessions)
        starts.append(link_process.start_thread)
    if "review" in settings.APPS:
        from carrel.review import checks as review_checks
        from carrel.review.sending import process as sending_process

        _require("DJANGO_REVIEW_SECRET_KEY", "REVIEW_URL")
        review_checks.before_start()
        known_sessions.append(review_checks.session_known)
        starts.append(sending_process.start_thread)
    if set_up_logs:
        from carrel.telemetry.start import start

        try:
            start("web", settings.APPS[0])
        except (ValueError, RuntimeError) as error:
            raise SettingsError(str(error)) from error
    server = create_server(
        application,
        host,
        port,
        threads or needed,
        lambda header: any(knows(header) for knows in known),
        lambda cookies: any(knows(cookies) for knows in known_sessions),
        settings.TRUSTED_PROXY,
    )
    for start_thread in starts if with_sweep else ():
        start_thread()
    if on_ready:
        on_ready(int(getattr(server, "effective_port", 0) or server.effective_listen[0][1]))
    server.run()


def _require(*names: str) -> None:
    from django.conf import settings

    missing = [name for name in names if not os.environ.get(name)]
    if missing and not settings.DEBUG:
        raise SettingsError(
            f"These are not set: {', '.join(missing)}. Set them (or DJANGO_DEBUG=true on a machine of your own)."
        )


def migrate() -> None:
    """Bring the database of this process up to date, as `carrel manage migrate` does."""
    close_to_others()
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def main() -> None:
    """`python -m carrel.web.serve [HOST:PORT] [--migrate] [--with-sweep]`; `--migrate` makes the tables first."""
    import sys

    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host, _, port = (addresses[0] if addresses else "127.0.0.1:8000").rpartition(":")

    def report(taken: int) -> None:
        print(f"Serving on port {taken}.", flush=True)

    try:
        if "--migrate" in sys.argv:
            migrate()
        serve(host, int(port), with_sweep="--with-sweep" in sys.argv, on_ready=report)
    except Exception as error:
        if type(error).__name__ not in ("CannotStart", "SettingsError"):
            raise
        sys.exit(str(error))


if __name__ == "__main__":
    main()
