"""What ran, and whether it would come out the same today: code, command, inputs and image compared with the record."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from carrel.local.attempt import ACTION_NOTE
from carrel.local.code import Hashes, hidden_files
from carrel.local.records import ActionRecord, missing_outputs, read_records
from carrel.local.settings import LocalSettings
from carrel.local.study import Study
from carrel.outputs.study_files import find_study_files
from carrel.project import Action
from carrel.units.locks import is_locked


@dataclass(frozen=True, slots=True)
class ActionStatus:
    """`stale`: what changed since the record was made, in words; empty when nothing did."""

    action: str
    record: ActionRecord | None
    stale: tuple[str, ...] = ()
    running: bool = False


def read_statuses(study: Study, settings: LocalSettings, backend: str | None = None) -> list[ActionStatus]:
    """Every action of the project (as on `backend`, where one is given), in file order."""
    project = study.pipeline()
    pipeline = project.for_backend(backend) if backend else project
    hashes = Hashes()
    present = _Present(
        study=study,
        settings=settings,
        records=read_records(study),
        code_hash=hashes.hash_code(study.folder, find_study_files(study.folder, hidden_files(study, project))),
        hashes=hashes,
    )
    running = find_running_actions(study)
    statuses = []
    for name, action in pipeline.actions.items():
        record = present.records.get(name)
        stale = tuple(present.changes_since(record, action)) if record else ()
        statuses.append(ActionStatus(name, record, stale, name in running))
    return statuses


@dataclass(frozen=True, slots=True)
class _Present:
    """The study as it is now, to be compared with the records of its actions."""

    study: Study
    settings: LocalSettings
    records: dict[str, ActionRecord]
    code_hash: str
    hashes: Hashes

    def changes_since(self, record: ActionRecord, action: Action) -> Iterator[str]:
        """What is not as the record of this action says, in words."""
        if not record.succeeded:
            yield "failed"
        if record.code_hash != self.code_hash:
            yield "code changed"
        on_backend = action.for_backend(record.backend) if record.backend in action.commands else action
        command = on_backend.command
        if command is None or on_backend.run_command != record.run:
            yield "command changed"
        needed = [self.records[need] for need in action.needs if need in self.records]
        inputs = {path: self.study.folder / path for maker in needed for path in maker.outputs}
        hashes = {path: self.hashes.hash_file(file) if file.is_file() else "" for path, file in inputs.items()}
        if hashes != dict(record.inputs):
            yield "inputs changed"
        if command is not None and image_changed(self.settings, record, self.settings.image(command)):
            yield "image changed"
        if missing_outputs(self.study, record):
            yield "outputs missing"


def image_changed(settings: LocalSettings, record: ActionRecord, image: str) -> bool:
    """Whether the image there is now is another one; False where that cannot be told."""
    if image != record.image:
        return True
    if record.executor != "bubblewrap":
        from carrel.local.images import find_image_id

        image_id = find_image_id(record.image)
        return image_id is not None and image_id != record.image_id
    from carrel.executors.toolchains import ToolchainMissing, resolve

    try:
        return resolve(image, settings.toolchains_dir).id != record.image_id
    except ToolchainMissing:
        return False


def find_running_actions(study: Study) -> set[str]:
    """Actions that a run is at now; not those of which `--debug`, or a kill, left the folder."""
    notes = study.scratch.glob(f"*/{ACTION_NOTE}")
    actions = set()
    for note in notes:
        with contextlib.suppress(FileNotFoundError):  # an attempt that has just ended
            if is_locked(note):
                actions.add(note.read_text(encoding="utf-8"))
    return actions - {""}
