"""`carrel check-outputs`."""

import sys
from dataclasses import replace
from pathlib import Path

import click


@click.command("check-outputs")
@click.option("--html", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report too.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The backend's policy file, whose disclosure: has the thresholds (default: REVIEW_POLICY).",
)
def check_outputs(report: Path | None, policy: Path | None) -> None:
    """Check the moderately sensitive outputs here as level 4 and an output checker would.

    The exit code is 1 when a file would not reach level 4, there is something to look at, or something could not be.
    """
    from carrel.cli.common import explained
    from carrel.local.output_checks import check_study, lines, policy_lines, write_report
    from carrel.local.settings import LocalSettings
    from carrel.local.study import Study

    with explained():
        study = Study.at(Path())
        settings = LocalSettings.from_env()
        thresholds = (replace(settings, review_policy=policy) if policy else settings).disclosure_policy
        files = check_study(study, thresholds)
    if not files:
        click.echo("No moderately sensitive outputs here.")
    for line in lines(files):
        click.echo(line)
    for line in policy_lines(thresholds) if files else ():
        click.echo(line, err=True)
    if report is not None:
        write_report(report, study, files, thresholds)
    sys.exit(1 if any(file.needs_a_look for file in files) else 0)
