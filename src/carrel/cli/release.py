"""`carrel release ...`: review and release without a browser, on a machine of the backend."""

import os

import click


@click.group("release")
def release_group() -> None:
    """Request, check and release outputs at a terminal inside a backend.

    The review site's environment must be set. Who acts is the user of this machine; what they may do is what the
    review site lets the account of that name do (REVIEW_OS_USERS says where names differ).
    """
    from carrel.units.privacy import close_to_others

    close_to_others()
    os.environ.setdefault("CARREL_APPS", "review")
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    import django

    django.setup()


@release_group.command("list")
@click.argument("workspace", default="")
def list_requests(workspace: str) -> None:
    """Show requests; with a WORKSPACE, its outputs and their states too."""
    from carrel.review import at_terminal

    for line in at_terminal.listing(at_terminal.person_here(), workspace):
        click.echo(line)


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
def diff(request_id: str, paths: tuple[str, ...]) -> None:
    """Show what of a request's files is new since they were released last."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    for line in at_terminal.differences(person, at_terminal.request_of(person, request_id), paths):
        click.echo(line)


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
def check(request_id: str) -> None:
    """Show what the disclosure rules say of a request's files."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    for line in at_terminal.found_by_rules(person, at_terminal.request_of(person, request_id)):
        click.echo(line)


@release_group.command()
@click.argument("workspace")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--supporting", multiple=True, metavar="PATH", help="A file that helps the checkers and never leaves.")
@click.option("--title", default="", help="What the request is called in lists.")
@click.option("--group", default="default", show_default=True, help="Files that are explained together.")
@click.option("--context", default="", help="What the files show: variables, population, methods.")
@click.option("--controls", default="", help="What was done against disclosure: rounding, redaction.")
@click.option("--submit", "is_submitted", is_flag=True, help="Hand it to the checkers at once.")
def request(
    workspace: str,
    paths: tuple[str, ...],
    supporting: tuple[str, ...],
    title: str,
    group: str,
    context: str,
    controls: str,
    is_submitted: bool,
) -> None:
    """Ask for outputs of a workspace to be released."""
    from carrel.review import at_terminal

    new = at_terminal.NewRequest(
        workspace=workspace,
        paths=paths,
        supporting=supporting,
        title=title,
        group=group,
        context=context,
        controls=controls,
    )
    row, refused = at_terminal.begin(at_terminal.person_here(), new, is_submitted=is_submitted)
    for path, why in refused.items():
        click.echo(f"{path}: {why}", err=True)
    click.echo(row.pk)
    if refused:
        raise click.ClickException("Not every file was added, so that the request is not submitted.")


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
def submit(request_id: str) -> None:
    """Hand a request to the checkers."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    at_terminal.submit(person, at_terminal.request_of(person, request_id))
    click.echo("submitted")


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("seen", metavar="[PATH=SHA256]...", nargs=-1)
@click.option("--done", "is_done", is_flag=True, help="Submit your review.")
@click.option("--release", "is_release", is_flag=True, help="Approve the request for release; all reviews are in.")
def approve(request_id: str, seen: tuple[str, ...], is_done: bool, is_release: bool) -> None:
    """Approve files of a request, each by what `diff` shows: its path, and the first digits of its SHA-256."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    row = at_terminal.request_of(person, request_id)
    click.echo(at_terminal.approve(person, row, seen, is_done=is_done, is_release=is_release))


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--why", required=True, help="What should change; shown to the other checkers.")
@click.option("--done", "is_done", is_flag=True, help="Submit your review.")
def refuse(request_id: str, paths: tuple[str, ...], why: str, is_done: bool) -> None:
    """Request changes of files of a request."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    at_terminal.refuse(person, at_terminal.request_of(person, request_id), paths, why, is_done=is_done)


@release_group.command()
@click.argument("request_id", metavar="REQUEST")
def publish(request_id: str) -> None:
    """Upload an approved request now, and show where it is."""
    from carrel.review import at_terminal

    person = at_terminal.person_here()
    for line in at_terminal.publish(person, at_terminal.request_of(person, request_id)):
        click.echo(line)
