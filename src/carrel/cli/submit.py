"""`carrel submit`: hand a study to a site on this machine, and watch it."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("repo")
@click.argument("actions", nargs=-1, required=True)
@click.option(
    "--backend", "backends", multiple=True, help="Where to run. Repeat for several. Default: all of the site."
)
@click.option("--branch", default="main", show_default=True, help="The branch that the commit is on.")
@click.option("--commit", help="40 hexadecimal digits. Default: the head of the branch.")
@click.option("--workspace", help="Default: the repository's name.")
@click.option("-f", "--force", is_flag=True, help="Run the needed actions again too.")
@click.option("--dir", "root", type=click.Path(file_okay=False, path_type=Path),
              default=Path(".carrel"), show_default=True, help="The folder of `carrel up`.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Do not watch the jobs.")
def submit(
    repo: str, actions: tuple[str, ...], backends: tuple[str, ...], branch: str, commit: str | None,
    workspace: str | None, force: bool, root: Path, no_wait: bool,
) -> None:  # fmt: skip
    """Run ACTIONS of the study in REPO (a URL or a folder with git) on the backends of a site that is up."""
    from rich.console import Console

    from carrel.site.study_requests import (
        StudyRequest,
        check_commit,
        head_of,
        is_url,
        repository,
        uncommitted,
        workspace_name,
    )
    from carrel.site.submission import requests_of, send_and_watch

    requests = requests_of(root)
    repo = repository(repo)
    if not commit and not is_url(repo) and uncommitted(Path(repo)):
        click.echo(f"{repo} has changes that are not committed: they are not part of what runs", err=True)
    study = StudyRequest(
        repo=repo,
        commit=check_commit(commit) if commit else head_of(repo, branch, root / "mirrors"),
        branch=branch,
        workspace=workspace or workspace_name(repo),
        actions=actions,
        force=force,
    )
    sys.exit(0 if send_and_watch(requests, root, study, backends, Console(), wait=not no_wait) else 1)
