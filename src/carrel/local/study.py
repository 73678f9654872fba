"""A study's folder as the local run sees it: its files, its pipeline on one backend, its lock."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.local.errors import LocalError
from carrel.units.ignored import ignore_all
from carrel.units.limits import MAX_PROJECT_BYTES
from carrel.units.locks import LockHeld, lock

if TYPE_CHECKING:
    from carrel.project import Pipeline

PROJECT_FILE, SIDE_FILE = "project.yaml", "backends.yaml"
NO_BACKEND = "expectations"
"""What OPENSAFELY_BACKEND says where no backend was chosen (contract)."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study. `folder` is absolute."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Study":
        """Raises `LocalError` when the folder has no project.yaml."""
        study = cls(folder.resolve())
        if not study.project_file.is_file():
            raise LocalError(f"No {PROJECT_FILE} in {study.folder}. Go to the study's folder, or give --project-dir.")
        return study

    @property
    def name(self) -> str:
        """The workspace's name, locally."""
        return self.folder.name

    @property
    def project_file(self) -> Path:
        return self.folder / PROJECT_FILE

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def records(self) -> Path:
        """One file per action: what its latest finished run was."""
        return self.metadata / "jobs"

    @property
    def scratch(self) -> Path:
        """Working folders of the run going on; what is in it while no run goes on is left over from a kill."""
        return self.metadata / ".run"

    def log(self, action: str) -> Path:
        return self.metadata / f"{action}.log"

    def log_of(self, action: str) -> Path:
        """The log there is of an action; raises `UnknownActionError`, and `LocalError` when it never ran."""
        self.pipeline().action(action)
        if not self.log(action).is_file():
            raise LocalError(f"{action} has not run here yet: there is no {self.log(action).relative_to(self.folder)}")
        return self.log(action)

    def pipeline(self) -> "Pipeline":
        """The whole project, on no backend yet; raises `ProjectValidationError`."""
        return load(self.project_file)

    def project(self, backend: str | None) -> "Pipeline":
        """The project on `backend`; where None, on the only one it can be run on.

        Raises `ProjectValidationError`, and `LocalError` when a choice has to be made.
        """
        pipeline = self.pipeline()
        return pipeline.for_backend(backend or default_backend(pipeline))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while a run goes on; `LocalError` naming the process that holds it. A kill lets it go."""
        try:
            self.metadata.mkdir(exist_ok=True)
            ignore_all(self.metadata)
            descriptor = lock(self.metadata / ".lock", timeout=0, mode=0o644, note=f"{os.getpid()}\n".encode())
        except LockHeld as conflict:
            holder = conflict.note.decode("ascii", "replace").strip() or "unknown"
            raise LocalError(
                f"Another run is going on in {self.folder} (process {holder}). "
                "Wait until it ends, or stop it with Ctrl-C."
            ) from None
        except OSError as error:
            raise LocalError(
                f"{self.metadata} cannot be written by you ({(error.strerror or '').lower()}): runs keep their logs and"
                " records there. Give yourself the right to write there (chmod, chown), or work in a copy of the study."
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)


def load(path: Path, filename: str = PROJECT_FILE, backends: Collection[str] = ()) -> "Pipeline":
    """The pipeline of a project file, with `backends.yaml` beside it; `filename` is what messages call it.

    `backends`: where a study runs that does not say, if that is known here.
    Raises `ProjectValidationError`, and `LocalError` when a file cannot be read.
    """
    from carrel.project import load_pipeline
    from carrel.project.constants import DEFAULT_BACKENDS

    side = path.parent / SIDE_FILE
    side_text = _text_of(side) if side.is_file() or side.is_symlink() else None
    default = tuple(backends) or DEFAULT_BACKENDS
    return load_pipeline(_text_of(path), filename=filename, side_file=side_text, default_backends=default)


def _text_of(path: Path) -> bytes:
    """Read as much of a file as a project file may have, and a byte more. No link: a server reads none either."""
    if path.is_symlink() and path.name in (PROJECT_FILE, SIDE_FILE):
        raise LocalError(f"{path} is a symbolic link: put the file itself there")
    try:
        with path.open("rb") as file:
            return file.read(MAX_PROJECT_BYTES + 1)
    except OSError as error:
        raise LocalError(f"{error.filename} cannot be read: {error.strerror}") from None


def default_backend(pipeline: "Pipeline") -> str:
    """Where to run when nobody said: `expectations` if the file is the same everywhere, or its only backend."""
    placements = [pipeline.where, *(action.run_on for action in pipeline.actions.values())]
    runs_anywhere = all(placement.only is None and not placement.exclude for placement in placements)
    if runs_anywhere and not any(action.commands for action in pipeline.actions.values()):
        return NO_BACKEND
    if len(pipeline.run_on) == 1:
        return pipeline.run_on[0]
    choices = ", ".join(pipeline.run_on)
    raise LocalError(
        f"This study differs from backend to backend. Say which one to run as: --backend with one of {choices}"
    )
