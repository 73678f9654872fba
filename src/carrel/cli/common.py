"""What several commands share: sizes as options, and faults told as the contract does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

INTERRUPTED = 130


class MemorySize(click.ParamType[int]):
    """An option that takes `4G` or `512M`, and is given as bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from carrel.units.sizes import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def executor_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--executor`, which takes the place of the setting EXECUTOR."""
    words = "docker, podman, bubblewrap (toolchains), or auto: what can run it here.  [default: EXECUTOR, else auto]"
    choice = click.Choice(("auto", "docker", "podman", "bubblewrap"))
    return click.option("--executor", type=choice, help=words)(command)


@contextmanager
def explained(as_json: bool = False) -> Iterator[None]:
    """Turn what may stop a run before it begins into the contract's words and exit codes."""
    from carrel.executors.base import ExecutorError, ExecutorRefusal
    from carrel.jobs.plan import PlanError
    from carrel.local.errors import LocalError
    from carrel.local.explanations import explain
    from carrel.project import ProjectValidationError

    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nInterrupted: what was running has been stopped and removed.", err=True)
        sys.exit(INTERRUPTED)
    except (ProjectValidationError, PlanError, LocalError, ExecutorError, ExecutorRefusal) as error:
        click.echo(explain(error, as_json), err=not as_json)
        sys.exit(1)
