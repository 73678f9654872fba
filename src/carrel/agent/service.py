"""`carrel agent`: from the environment to a running agent, until it is told to end."""

import contextlib
import logging
import signal
import sys
import threading

from carrel.agent import settings as agent_settings
from carrel.agent.agent import Agent
from carrel.agent.client import TaskClient
from carrel.agent.context import AgentContext
from carrel.agent.images import ImagePolicy
from carrel.agent.level_groups import give_to_levels, groups_of
from carrel.agent.settings import AgentSettings
from carrel.agent.storage import owned
from carrel.executors.base import Executor, RuntimeUnavailable
from carrel.executors.choice import ExecutorSettings, choose_executor
from carrel.repos import Mirrors
from carrel.telemetry.start import start
from carrel.units.ignored import make_ignored
from carrel.units.privacy import TooOpen, close_to_others, make_private
from carrel.units.settings import SettingsError

logger = logging.getLogger(__name__)


def images_of(settings: AgentSettings) -> ImagePolicy:
    """Which images the settings allow, and where they are pulled from."""
    return ImagePolicy(settings.docker_registry, settings.docker_proxy, settings.image_names)


def executor_of(settings: AgentSettings) -> Executor:
    """The executor of the settings; SettingsError with what to install when none works."""
    work = settings.workdir.absolute()
    try:
        return choose_executor(
            ExecutorSettings(
                executor=settings.executor,
                state_dir=work / "executor",
                toolchains_dir=(settings.toolchains_dir or work / "toolchains").absolute(),
                owner=settings.backend,
                user=(settings.docker_user_id, settings.docker_group_id),
                allow_image=images_of(settings).allows,
                pull_seconds=settings.image_pull_timeout,
            )
        )
    except (RuntimeUnavailable, ValueError) as error:
        raise SettingsError(str(error)) from error


def make_context(settings: AgentSettings) -> AgentContext:
    """All that attempts share. Makes the folders."""
    settings.storage.create()
    for folder in (settings.workdir.absolute(), *settings.storage.folders):
        make_private(folder)
    if groups := groups_of(settings.level3_group, settings.level4_group):
        storage = settings.storage
        give_to_levels(groups, high=(storage.high, storage.archives, storage.volumes), medium=(storage.medium,))
    repos = settings.workdir.absolute() / "repos"
    repos.mkdir(parents=True, exist_ok=True)
    mirrors = Mirrors(repos, settings.repo_policy)
    return AgentContext(
        settings=settings,
        storage=settings.storage,
        executor=executor_of(settings),
        mirrors=mirrors,
        images=images_of(settings),
    )


def serve(settings: AgentSettings, stop: threading.Event) -> None:
    """Run one agent until `stop` is set; raises SettingsError when it cannot start."""
    token = settings.controller_task_api_token.get_secret_value()
    with contextlib.suppress(OSError):  # a full disk does not keep an agent from starting
        make_ignored(settings.workdir.absolute())
    with owned(settings.storage, settings.backend):
        context = make_context(settings)
        client = TaskClient(settings.controller_task_api_endpoint, settings.backend, token)
        agent = Agent(context, client)

        def forward_stop() -> None:
            stop.wait()
            agent.stop()

        threading.Thread(target=forward_stop, name="signals", daemon=True).start()
        logger.info("Agent of %s, executor %s", settings.backend, context.executor.capabilities.name)
        agent.run()
        client.close()
        context.executor.close()


def main() -> int:
    """Entry point; returns the exit code. SIGTERM and SIGINT end the agent, not the jobs it started."""
    close_to_others()
    try:
        settings = agent_settings.load()
        try:
            start("agent", "agent", backend=settings.backend, level=settings.loglevel, secrets=settings.secrets())
        except (ValueError, RuntimeError) as error:
            raise SettingsError(f"LOGLEVEL, OTEL_* or SENTRY_DSN: {error}") from error
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serve(settings, stop)
    except (SettingsError, TooOpen) as error:
        sys.stderr.write(f"The agent cannot start. {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The agent cannot start. {error.filename or 'A folder'} cannot be used: {error.strerror}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
