"""What changed since an action succeeded on a backend: its code, or the data that it read. Pure.

It is told, and changes no plan: whoever wants the new code or data asks for the action again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

from carrel.jobs.statuses import State
from carrel.jobserver.runs.states import ActionState, Cell
from carrel.project import Action, Pipeline
from carrel.project.codelists import FOLDER
from carrel.project.loader import PROJECT_FILE, SIDE_FILE

PATHS_NAMED = 3
_NO_CODE = (PROJECT_FILE, SIDE_FILE, ".gitignore", ".gitattributes", "LICENSE", "LICENCE")
_NO_CODE_SUFFIXES = (".md", ".txt.license", ".rst")


@dataclass(frozen=True, slots=True)
class SinceChange:
    """What changed since an action succeeded: a word or two, and all of it."""

    words: str
    title: str


def code_change(
    action: Action, state: ActionState, changed_paths: Collection[str] | None, paths_of_actions: Collection[str]
) -> SinceChange | None:
    """Return what changed in the code of an action since the job succeeded; None where it is the same.

    `changed_paths`: of files that differ between the two commits; None where they cannot be compared. A file that
    another action's command names (`paths_of_actions`) is that action's; any other code may be imported by all.
    """
    at = f"since it succeeded at commit {state.commit[:7]}"
    if changed_paths is None:
        return SinceChange("older code", f"The code cannot be compared with that {at}: it is too long ago.")
    # The controller puts a reusable action's own command in place of the first word.
    arguments = action.run_command.partition(" ")[2]
    same = state.run_command in ("", action.run_command) or (arguments and state.run_command.endswith(f" {arguments}"))
    if not same:
        return SinceChange("code changed", f"Its command changed {at}.")
    own = {str(PurePosixPath(word)) for word in action.run.parts[1:]}
    importable = {
        path
        for path in changed_paths
        if PurePosixPath(path).name not in _NO_CODE
        and not path.endswith(_NO_CODE_SUFFIXES)
        and path not in paths_of_actions
    }
    paths = sorted((set(changed_paths) & own) | importable)
    if not action.is_database_action:
        paths = [path for path in paths if not path.startswith(f"{FOLDER}/")]
    if not paths:
        return None
    more = f" and {len(paths) - PATHS_NAMED} more" if len(paths) > PATHS_NAMED else ""
    return SinceChange("code changed", f"Changed {at}: {', '.join(paths[:PATHS_NAMED])}{more}.")


def paths_of_commands(pipeline: Pipeline) -> frozenset[str]:
    """Return the words of all commands that look like files."""
    words = (
        word for action in pipeline.actions.values() for command in action.all_commands for word in command.parts[1:]
    )
    return frozenset(str(PurePosixPath(word)) for word in words if "." in word)


def data_change(state: ActionState, changed: Mapping[str, str]) -> SinceChange | None:
    """Return which tables changed since the job read them. `changed`: when each table did, as its catalogue says."""
    read_at = state.started_at or state.created_at
    tables = sorted(table for table, moment in changed.items() if is_after(moment, read_at))
    if not tables:
        return None
    return SinceChange("data changed", f"Changed since it read them: {', '.join(tables)}.")


def is_after(moment: str, read_at: datetime) -> bool:
    """Whether a catalogue's date (a day, or a second in UTC) is after a time; the same day is not."""
    if "T" not in moment:
        return date.fromisoformat(moment) > read_at.astimezone(UTC).date()
    return datetime.fromisoformat(moment) > read_at


def changes_of(
    pipelines: Mapping[str, Pipeline],
    states: Mapping[Cell, ActionState],
    *,
    changed_paths: Mapping[str, Collection[str] | None],
    changed_tables: Mapping[Cell, Mapping[str, str]],
) -> dict[Cell, SinceChange]:
    """Return what changed for each cell whose latest job succeeded; data first, since code is seen in git.

    `pipelines`: by backend. `changed_paths`: by commit, what differs from the commit that would run.
    """
    changes: dict[Cell, SinceChange] = {}
    paths_of: dict[str, frozenset[str]] = {}
    for (slug, name), state in states.items():
        pipeline = pipelines.get(slug)
        if pipeline is None or name not in pipeline.actions or state.status != State.SUCCEEDED:
            continue
        paths = changed_paths.get(state.commit)
        if paths and slug not in paths_of:  # it looks at every command of the study
            paths_of[slug] = paths_of_commands(pipeline)
        change = data_change(state, changed_tables.get((slug, name), {})) or code_change(
            pipeline.actions[name], state, paths, paths_of.get(slug, ())
        )
        if change:
            changes[slug, name] = change
    return changes
