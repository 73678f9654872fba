"""A group of commands that are imported only when they are used, so that `carrel --help` starts fast."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

Entry = tuple[str, str]
"""(`module:attribute`, one line of help): the help stands here too, so that listing commands imports none of them."""


class LazyGroup(click.Group):
    """A group whose sub-commands are named in `entries` and imported by `get_command`.

    An entry whose module is not installed (an optional part) is left out of the list.
    """

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self.entries if self._installed(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.entries or not self._installed(cmd_name):
            return None
        module, _, attribute = self.entries[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}:{attribute} is not a command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{_nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.entries[name][1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _installed(self, name: str) -> bool:
        module = self.entries[name][0].partition(":")[0]
        if module.startswith("carrel.cli.") and module not in _OPTIONAL:
            return True
        try:
            return find_spec(module) is not None
        except ModuleNotFoundError:
            return False


_OPTIONAL = frozenset({"carrel.cli.up", "carrel.cli.demo"})


def _nearest(word: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, names, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
