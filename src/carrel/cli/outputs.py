"""`carrel check-outputs`."""

import sys
from pathlib import Path

import click


@click.command("check-outputs")
@click.option("--html", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report too.")
def check_outputs(report: Path | None) -> None:
    """Check the moderately sensitive outputs here as level 4 and an output checker would.

    The exit code is 1 when a file would not reach level 4, there is something to look at, or something could not be.
    """
    from carrel.cli.common import explained
    from carrel.local.output_checks import check_study, lines, write_report
    from carrel.local.study import Study

    with explained():
        study = Study.at(Path())
        files = check_study(study)
    if not files:
        click.echo("No moderately sensitive outputs here.")
    for line in lines(files):
        click.echo(line)
    if report is not None:
        write_report(report, study, files)
    sys.exit(1 if any(file.needs_a_look for file in files) else 0)
