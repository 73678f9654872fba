"""Serving the Django project with waitress, threads in one process."""

import os
from collections.abc import Callable

from carrel.units.privacy import close_to_others

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
    """Serve until the process is ended.

    `port` 0 takes a free one; `on_ready(port)` is called once connections are taken. `with_sweep`: run the controller's
    sweep in a thread of this process as well. `set_up_logs`: False where the caller has done it. `threads`: at least
    one more per backend than the requests to answer at once, since each agent's long poll holds one (the default
    sees to it).

    Raises carrel.controller.checks.CannotStart with a sentence.
    """
    close_to_others()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carrel.web.settings")
    from carrel.web.server import create_server
    from carrel.web.wsgi import application

    _check()
    if set_up_logs:
        _set_up_telemetry()
    from carrel.controller import settings
    from carrel.controller.service.tokens import is_known

    threads = threads or ENOUGH_FOR_REQUESTS + 2 * len(settings.get().backends)
    server = create_server(application, host, port, threads, is_known)
    if with_sweep:
        from carrel.controller import sweep

        sweep.start_thread()
    if on_ready:
        on_ready(int(getattr(server, "effective_port", 0) or server.effective_listen[0][1]))
    server.run()


def _check() -> None:
    from django.conf import settings

    from carrel.controller import checks

    checks.before_start()
    missing = [name for name in _REQUIRED if not os.environ.get(name)]
    if missing and not settings.DEBUG:
        raise checks.CannotStart(
            f"These are not set: {', '.join(missing)}. Set them (or DJANGO_DEBUG=true on a machine of your own)."
        )


def _set_up_telemetry() -> None:
    from carrel.controller import checks

    try:
        checks.set_up_telemetry("web")
    except (ValueError, RuntimeError) as error:
        raise checks.CannotStart(str(error)) from error


_REQUIRED = ("DJANGO_CONTROLLER_SECRET_KEY", "DJANGO_CONTROLLER_ALLOWED_HOSTS")


def main() -> None:
    """`python -m carrel.web.serve [HOST:PORT] [--with-sweep]`."""
    import sys

    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host, _, port = (addresses[0] if addresses else "127.0.0.1:8000").rpartition(":")

    def report(taken: int) -> None:
        print(f"Serving on port {taken}.", flush=True)

    try:
        serve(host, int(port), with_sweep="--with-sweep" in sys.argv, on_ready=report)
    except Exception as error:
        if type(error).__name__ != "CannotStart":
            raise
        sys.exit(str(error))


if __name__ == "__main__":
    main()
