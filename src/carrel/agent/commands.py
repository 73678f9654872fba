"""What a platform engineer may do on the secure side by hand (controller.md section 6).

    python -m carrel.agent.commands kill_task PARTIAL_ID...
    python -m carrel.agent.commands data_changes WORKSPACE... [--json]
    python -m carrel.agent.commands update_manifest_for_old_job WORKSPACE PARTIAL_ID BRANCH
    python -m carrel.agent.commands update_manifest_out_of_date_actions WORKSPACE REPO COMMIT

All read the same environment as the agent. Those that change a manifest need the agent of that storage stopped.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import click

from carrel.agent import metadata
from carrel.agent import settings as agent_settings
from carrel.agent.freshness import changed_since
from carrel.agent.preparation import PROJECT_FILE
from carrel.agent.service import executor_of
from carrel.agent.settings import AgentSettings
from carrel.agent.storage import Storage, owned
from carrel.agent.tasks import PROCESS_PREFIX
from carrel.messages import manifest as manifest_format
from carrel.messages.manifest import OutputRecord
from carrel.outputs import copies, csv_shape, manifest
from carrel.project import action_names
from carrel.repos import Mirrors
from carrel.units.files import write_atomically


@click.group()
@click.pass_context
def main(ctx: click.Context) -> None:
    """Repair by hand what an agent cannot repair by itself."""
    ctx.obj = agent_settings.load()


@main.command("kill_task")
@click.argument("partial_ids", nargs=-1, required=True)
@click.pass_obj
def kill_task(settings: AgentSettings, partial_ids: tuple[str, ...]) -> None:
    """Kill the process of each task whose id begins with, or holds, PARTIAL_ID. The agent then records how it ended."""
    executor = executor_of(settings)
    running = [name for name in executor.list() if name.startswith(PROCESS_PREFIX)]
    for partial in partial_ids:
        name = _choose(partial, running)
        if name:
            executor.stop(name)
            click.echo(f"Task for job {name.removeprefix(PROCESS_PREFIX)} killed.")


def _choose(partial: str, running: list[str]) -> str | None:
    """The one process meant, asked for where it is not clear."""
    matching = [name for name in running if partial in name.removeprefix(PROCESS_PREFIX)]
    if not matching:
        click.echo(f"No running tasks found matching '{partial}'")
        return None
    if len(matching) > 1:
        for number, name in enumerate(matching, 1):
            click.echo(f"{number}: {name.removeprefix(PROCESS_PREFIX)}")
        return matching[click.prompt("Which task", type=click.IntRange(1, len(matching))) - 1]
    task_id = matching[0].removeprefix(PROCESS_PREFIX)
    return matching[0] if task_id == partial or click.confirm(f"Kill task {task_id}?") else None


@main.command("data_changes")
@click.argument("workspaces", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def data_changes(settings: AgentSettings, workspaces: tuple[str, ...], as_json: bool) -> None:
    """Say which outputs of each workspace were made from data that has changed since. Nothing is run or changed."""
    changes = {name: changed_since(settings.storage, settings.database_urls, name) for name in workspaces}
    if as_json:
        shown = {
            name: {action: change.as_json() for action, change in actions.items()} for name, actions in changes.items()
        }
        click.echo(json.dumps(shown, indent=2))
        return
    for name, actions in changes.items():
        for action, change in actions.items():
            click.echo(f"{name} {action}: {change.words() or 'made from the data of now'}")


@main.command("update_manifest_for_old_job")
@click.argument("workspace")
@click.argument("partial_id")
@click.argument("branch")
@click.pass_obj
def update_manifest_for_old_job(settings: AgentSettings, workspace: str, partial_id: str, branch: str) -> None:
    """Put outputs of an old job into the manifest where they are missing; BRANCH is shown in what is printed."""
    storage = settings.storage
    with owned(storage, settings.backend):
        record = _job_record(storage, workspace, partial_id)
        path = storage.manifest(workspace)
        present = manifest.read(path, workspace)
        missing = {
            output: level
            for output, level in record["outputs"].items()
            if output not in present["outputs"] and (storage.workspace(workspace) / output).is_file()
        }
        if path.exists():
            shutil.copyfile(path, path.with_name(f"{path.name}{record['job_definition_id']}.bu"))
        entries = {output: _old_entry(storage, workspace, record, output, level) for output, level in missing.items()}
        write_atomically(
            path, manifest_format.dumps({**present, "outputs": present["outputs"] | entries}), synced="folder"
        )
    click.echo(f"{len(missing)} outputs of job {record['job_definition_id']} ({branch}) added to the manifest.")


def _job_record(storage: Storage, workspace: str, partial_id: str) -> dict[str, Any]:
    paths = storage.high.glob(f"logs/*/os-job-{partial_id}*/metadata.json")
    records = [
        record
        for path in paths
        if (record := metadata.read(path.parent)) and record.get("workspace", workspace) == workspace
    ]
    if len(records) != 1:
        raise click.ClickException(
            f"{len(records)} jobs of workspace {workspace} match '{partial_id}'; give more of its id"
        )
    return records[0]


def _old_entry(storage: Storage, workspace: str, record: dict[str, Any], output: str, level: str) -> dict[str, Any]:
    path = storage.workspace(workspace) / output
    shape = csv_shape.measure_output(path, output, level)
    excluded = record.get("level4_excluded_files", {})
    status = path.stat()
    return manifest_format.entry_of(
        OutputRecord(
            path=output,
            level=level,
            job_id=record["job_definition_id"],
            job_request=record["job_definition_rap_id"],
            action=record.get("action", ""),
            user=record.get("user", ""),
            repo=record.get("repo", ""),
            commit=record.get("commit", ""),
            size=status.st_size,
            timestamp=status.st_mtime,
            content_hash=copies.sha256_of(path),
            excluded=output in excluded,
            message=excluded.get(output),
            row_count=shape.rows if shape else None,
            col_count=shape.cols if shape else None,
        )
    )


@main.command("update_manifest_out_of_date_actions")
@click.argument("workspace")
@click.argument("repo")
@click.argument("commit")
@click.pass_obj
def update_manifest_out_of_date_actions(settings: AgentSettings, workspace: str, repo: str, commit: str) -> None:
    """Set `out_of_date_action` of every output by the actions of project.yaml in REPO at COMMIT."""
    mirrors = Mirrors(Path(settings.workdir).absolute() / "repos", settings.repo_policy)
    names = action_names(mirrors.read_file(repo, commit, PROJECT_FILE))
    if names is None:
        raise click.ClickException(f"{PROJECT_FILE} in {repo} at {commit} has no actions that can be read")
    with owned(settings.storage, settings.backend):
        path = settings.storage.manifest(workspace)
        changed = manifest.with_actions(manifest.read(path, workspace), names)
        write_atomically(path, manifest_format.dumps(changed), synced="folder")
    out_of_date = sum(bool(entry.get("out_of_date_action")) for entry in changed["outputs"].values())
    click.echo(
        f"{len(changed['outputs'])} outputs looked at; {out_of_date} are of actions that are no longer in the project."
    )


if __name__ == "__main__":
    main()
