"""Settings of the local run: the names are the agent's and the controller's (controller.md section 5)."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.local.errors import LocalError

if TYPE_CHECKING:
    from carrel.disclosure.policy import DisclosurePolicy
    from carrel.executors.base import Executor
    from carrel.local.study import Study
    from carrel.project import RunCommand

SITE_CATALOGUES = Path(".carrel/catalogues")
"""Where a site keeps its backends' catalogues, from the folder in which it was started."""

DEFAULT_REGISTRY = "ghcr.io/opensafely-core"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """EXECUTOR, TOOLCHAINS_DIR, DOCKER_REGISTRY, STATA_LICENSE, IDENTIFIER_COLUMNS(_FILE), ..."""

    executor: str = "auto"
    toolchains_dir: Path = Path("toolchains")
    docker_registry: str = DEFAULT_REGISTRY
    stata_license: str = ""
    identifier_columns: str = ""
    """Further names of columns that may identify people, by commas."""
    identifier_columns_file: Path | None = None
    """A file of such names, one a line, with comments from `#` on."""

    review_policy: Path | None = None
    """A backend's policy file: its `disclosure:` has the thresholds of the disclosure rules."""

    catalogues_dir: Path | None = None
    """A folder of backends' catalogues (`<backend>.json`), by which `carrel check` says where actions can run."""

    @property
    def catalogue_folders(self) -> tuple[Path, ...]:
        """Where catalogues are: the folder that is set, else that of a site of `carrel up` in this folder."""
        if self.catalogues_dir is not None:
            return (self.catalogues_dir,)
        return (SITE_CATALOGUES,) if SITE_CATALOGUES.is_dir() else ()

    @property
    def disclosure_policy(self) -> "DisclosurePolicy":
        """What the disclosure rules hold outputs to, with the names of columns that settings add. Raises LocalError."""
        from carrel.outputs.disclosure_policy import read_policy_file
        from carrel.outputs.identifiers import read_identifier_names

        try:
            names = read_identifier_names(self.identifier_columns, self.identifier_columns_file)
        except ValueError as error:
            raise LocalError(f"IDENTIFIER_COLUMNS_FILE: {error}") from None
        try:
            return read_policy_file(self.review_policy, names)
        except ValueError as error:
            raise LocalError(f"The policy cannot be used.\n{error}") from None

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "LocalSettings":
        data = env.get("XDG_DATA_HOME")
        default_toolchains = (Path(data) if data else Path.home() / ".local" / "share") / "carrel" / "toolchains"
        return cls(
            executor=env.get("EXECUTOR") or "auto",
            toolchains_dir=Path(env.get("TOOLCHAINS_DIR") or default_toolchains).absolute(),
            docker_registry=(env.get("DOCKER_REGISTRY") or DEFAULT_REGISTRY).rstrip("/"),
            stata_license=env.get("STATA_LICENSE", ""),
            identifier_columns=env.get("IDENTIFIER_COLUMNS", ""),
            identifier_columns_file=Path(listed) if (listed := env.get("IDENTIFIER_COLUMNS_FILE")) else None,
            review_policy=Path(policy) if (policy := env.get("REVIEW_POLICY")) else None,
            catalogues_dir=Path(folder) if (folder := env.get("CATALOGUES_DIR")) else None,
        )

    def with_executor(self, name: str | None) -> "LocalSettings":
        """The same settings with the executor that the command line names, if it names one."""
        return replace(self, executor=name) if name else self

    def image(self, command: "RunCommand") -> str:
        """The full reference of an action's image; `latest` stands for `v1` (contract)."""
        return self.image_named(f"{command.name}:{command.version}")

    def image_named(self, text: str) -> str:
        """`python:v2` -> `registry/path/python:v2`; a reference with a path of its own is left as it is."""
        name, _, tag = text.partition(":")
        if "/" in text:
            return text
        return f"{self.docker_registry}/{name}:{'v1' if tag == 'latest' else tag or default_tag(name)}"

    def executor_for(self, study: "Study", name: str = "", images: Collection[str] = ()) -> "Executor":
        """The executor of this study's runs; raises `RuntimeUnavailable` saying what to install.

        `name`: in the place of the setting. `images`: what is to run, as full references, where that is known.
        """
        return self.executor_in(study.scratch / "executor", str(study.folder), name, images)

    def executor_in(self, state: Path, owner: str, name: str = "", images: Collection[str] = ()) -> "Executor":
        """One with its state in that folder; `auto` is what has these images, or toolchains for them."""
        from carrel.executors.choice import ExecutorSettings, choose_executor, engine_passed_over

        chosen = ExecutorSettings(
            executor=name or self.executor, state_dir=state, toolchains_dir=self.toolchains_dir, owner=owner
        )
        if images and engine_passed_over(chosen, images, self.docker_registry):
            chosen = replace(chosen, executor="bubblewrap")
        return choose_executor(chosen)


def default_tag(name: str) -> str:
    """Version of an image named without one (contract: python, r and rstudio are at v2, others at v1)."""
    return "v2" if name in {"python", "r", "rstudio"} else "v1"
