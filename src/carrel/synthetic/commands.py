"""generate: synthetic archives, for trying things out and for tests."""

from pathlib import Path
from typing import Any

import click


def _pairs(texts: tuple[str, ...], what: str) -> dict[str, float]:
    try:
        return {name: float(number or 1) for name, _, number in (text.partition("=") for text in texts)}
    except ValueError:
        raise click.UsageError(f"--{what} is NAME=NUMBER") from None


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=1, show_default=True, help="The same seed and options give the same bytes.")
@click.option("--records", default=20, show_default=True, help="How many records.")
@click.option("--participants", default=5, show_default=True, help="How many people they are of.")
@click.option("--studies", default=1, show_default=True, help="How many studies they belong to.")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=WEIGHT", help="Which kinds of archives; default: all.")
@click.option("--fault", "faults", multiple=True, metavar="NAME=COUNT", help="Spoil so many records in this way.")
@click.option("--android", default=0.3, show_default=True, help="Share of records from Android.")
@click.option("--hz", default=10.0, show_default=True, help="Samples per second of each sensor.")
@click.option("--seconds", default=2.0, show_default=True, help="Length of motion files.")
@click.option("--steps", nargs=2, type=int, default=(2, 5), show_default=True, help="Least and most steps of a task.")
@click.option("--interactions", default=2, show_default=True, help="Interactions per step.")
@click.option("--optional-keys", default=0.7, show_default=True, help="How often optional keys are there.")
@click.option("--nulls", default=0.1, show_default=True, help="How often they are null, or empty arrays.")
@click.option("--int-noise", default=0.2, show_default=True, help="How often a float is written as an integer.")
@click.option("--odd-keys", default=0.0, show_default=True, help="How often task data has keys that trip table makers.")
@click.option("--odd-ids", default=0.1, show_default=True, help="How often record ids begin with _ or -.")
@click.option("--late-days", default=3, show_default=True, help="Uploads follow recordings by up to so many days.")
@click.option("--reexports", default=0.0, show_default=True, help="Share of records exported again, corrected.")
@click.option("--duplicates", default=0.0, show_default=True, help="Share of archives delivered twice.")
@click.option("--withdrawals", default=0, show_default=True, help="How many participants withdrawals.json names.")
def generate(
    folder: Path,
    shapes: tuple[str, ...],
    faults: tuple[str, ...],
    steps: tuple[int, int],
    interactions: int,
    **options: Any,
) -> None:
    """Make synthetic archives in FOLDER/archives, with truth.json: every row that the tables must have.

    FOLDER/schemas has an archive map and every schema of theirs, for `carrel ingest schemas add`; FOLDER/mapping.yaml
    maps the schemas that the shipped mapping does not know.
    """
    from carrel.synthetic import FAULTS, SHAPES, Knobs, write

    counts = {name: int(count) for name, count in _pairs(faults, "fault").items()}
    mix = _pairs(shapes, "shape") or dict.fromkeys(SHAPES, 1.0)
    for name, names, what in [(n, FAULTS, "fault") for n in counts] + [(n, SHAPES, "shape") for n in mix]:
        if name not in names:
            raise click.UsageError(f"there is no {what} {name}; there are: {', '.join(names)}")
    knobs = Knobs(shapes=mix, faults=counts, steps=steps, interactions_per_step=interactions, **options)
    try:
        truth = write(knobs, folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    (folder / "mapping.yaml").write_text(_MAPPING)
    rows = sum(len(table["rows"]) for table in truth["tables"].values())
    click.echo(
        f"{len(truth['archives'])} archives in {folder / 'archives'}; {rows:,} rows in {len(truth['tables'])} tables"
    )


_MAPPING = """\
# The schemas that synthetic archives name themselves.
schemas:
  https://example.org/schemas/taskData.json: sharedSchema_v1
  https://example.org/schemas/anything.json: Anything_v1
"""
