"""A page's shell commands as one script: in its order, in one shell, in one folder, as somebody types them."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.walkthrough import Page

SYSTEM = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian's own programs are; a Python that a developer built elsewhere is not among them."""
PASSED_ON = re.compile(r"(PIP|UV)_\w+|\w*SSL\w*|\w*CA_BUNDLE|\w+_(proxy|PROXY)|LANG")
"""How this machine reaches packages."""
_MARK = "@@ "


@dataclass(frozen=True)
class Done:
    """A command of the script, its exit code, and what it printed, errors among it."""

    command: str
    code: int
    printed: str


def commands_of(page: str, language: str = "sh") -> list[str]:
    """Every command of the page's blocks in this language, continued lines joined."""
    text = "".join(Page.of(page).in_language(language)).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def run_script(commands: Iterable[str], folder: Path, environment: Mapping[str, str]) -> list[Done]:
    """Give all commands to one bash; each is run, whatever became of the one before."""
    listed = list(commands)
    script = "".join(f"{command}\nprintf '\\n{_MARK}%s\\n' $?\n" for command in listed)
    done = subprocess.run(
        ["bash", "-s"], input=script, cwd=folder, env=dict(environment), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    parts = re.split(rf"^{_MARK}(\d+)\n", done.stdout, flags=re.MULTILINE)
    assert len(parts) == 2 * len(listed) + 1, done.stdout
    return [Done(*each) for each in zip(listed, map(int, parts[1::2]), parts[0::2], strict=False)]


def newcomers_environment(home: Path) -> dict[str, str]:
    """A clean HOME and Debian's programs; packages come from where this machine has them, by its caches."""
    home.mkdir(exist_ok=True)
    own, caches = Path.home(), Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    for name, place in (("PIP_CONFIG_FILE", ".config/pip/pip.conf"), ("UV_CONFIG_FILE", ".config/uv/uv.toml")):
        if (own / place).exists():
            kept.setdefault(name, str(own / place))
    return {
        "UV_CACHE_DIR": str(caches / "uv"), "PIP_CACHE_DIR": str(caches / "pip"), **kept,
        "PATH": SYSTEM, "HOME": str(home), "COLUMNS": "200",
    }  # fmt: skip
