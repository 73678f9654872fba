"""A group of commands that are imported only when they are used, so that `--help` starts fast."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

Entry = tuple[str, str]
"""(`module:attribute`, one line of help): the help stands here too, so that listing commands imports none of them."""


class LazyGroup(click.Group):
    """A group whose sub-commands are named in `entries` and imported by `get_command`.

    An entry whose module is not installed (an optional part) is left out of the list. `explain`: what to tell the user
    when a library that a command needs is not there; without it the error goes on.
    """

    def __init__(
        self,
        *args: Any,
        entries: Mapping[str, Entry],
        explain: Callable[[ModuleNotFoundError], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries
        self.explain = explain

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self.entries if self._is_installed(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.entries or not self._is_installed(cmd_name):
            return None
        module, _, attribute = self.entries[cmd_name][0].partition(":")
        try:
            command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if self.explain is None:
                raise
            raise click.ClickException(self.explain(error)) from None
        assert isinstance(command, click.Command), f"{module}:{attribute} is not a command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            from difflib import get_close_matches  # slow to import, and seldom needed

            similar = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {similar[0]!r}?" if similar else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.entries[name][1]) for name in self.list_commands(ctx)])

    def _is_installed(self, name: str) -> bool:
        try:
            return find_spec(self.entries[name][0].partition(":")[0]) is not None
        except ModuleNotFoundError:
            return False
