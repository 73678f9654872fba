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
    whole = study.pipeline()
    pipeline = whole.for_backend(backend) if backend else whole
    records = read_records(study)
    hashes = Hashes()
    code = hashes.hash_code(study.folder, find_study_files(study.folder, hidden_files(study, whole)))
    going_on = find_running_actions(study)
    result = []
    for name, action in pipeline.actions.items():
        record = records.get(name)
        stale = tuple(_find_changes(study, settings, action, record, code, records, hashes)) if record else ()
        result.append(ActionStatus(name, record, stale, name in going_on))
    return result


def _find_changes(
    study: Study,
    settings: LocalSettings,
    action: Action,
    record: ActionRecord,
    code: str,
    records: dict[str, ActionRecord],
    hashes: Hashes,
) -> Iterator[str]:
    if not record.succeeded:
        yield "failed"
    if record.code_hash != code:
        yield "code changed"
    on_backend = action.for_backend(record.backend) if record.backend in action.commands else action
    command = on_backend.command
    if command is None or on_backend.run_command != record.run:
        yield "command changed"
    inputs = {path: study.folder / path for need in action.needs if need in records for path in records[need].outputs}
    input_hashes = {path: hashes.hash_file(file) if file.is_file() else "" for path, file in inputs.items()}
    if input_hashes != dict(record.inputs):
        yield "inputs changed"
    if command is not None and image_changed(settings, record, settings.image(command)):
        yield "image changed"
    if missing_outputs(study, record):
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
