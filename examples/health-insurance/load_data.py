"""Make the two backends' databases: `python load_data.py DATA_DIR --toolchain-python PYTHON`.

Run by a Python that has DuckDB (Carrel's own). PYTHON is one that has statsmodels (the toolchain python:v2), inside
which the data ships: nothing is downloaded. Writes DATA_DIR/north.duckdb and DATA_DIR/south.duckdb, each whole or not
at all.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import duckdb

EXPORT = """
import sys
from statsmodels.datasets import randhie
randhie.load_pandas().data.to_csv(sys.argv[1], index=False)
"""

# The data has no person's number. Rows of one person follow each other, with all but the visits the same, so a run of
# such rows stands for a person (see the README for how far that is true). Half of the runs, chosen by a hash, live in
# the north.
PEOPLE = """
CREATE TEMP TABLE people AS
WITH numbered AS (SELECT *, row_number() OVER () AS line FROM read_csv($csv)),
marked AS (
    SELECT *, lag((lncoins, idp, lpi, fmde, physlm, disea, hlthg, hlthf, hlthp)) OVER (ORDER BY line)
        IS DISTINCT FROM (lncoins, idp, lpi, fmde, physlm, disea, hlthg, hlthf, hlthp) AS is_new
    FROM numbered
),
known AS (SELECT *, sum(is_new::int) OVER (ORDER BY line)::int AS patient_id FROM marked)
SELECT
    * EXCLUDE (is_new),
    row_number() OVER (PARTITION BY patient_id ORDER BY line)::int AS record_number,
    if(md5(patient_id::varchar) < '8', 'north', 'south') AS backend,
    if(hlthg = 1, 1, if(hlthf = 1, 2, if(hlthp = 1, 3, 0))) AS health_code
FROM known
"""

NORTH = """
CREATE TABLE backend.person_years AS
SELECT
    patient_id, record_number, mdvis::int AS visits,
    round(exp(lncoins) - 1, 2) AS coinsurance_percent, idp = 1 AS deductible_plan,
    physlm AS physical_limitation, disea AS chronic_diseases,
    ['excellent', 'good', 'fair', 'poor'][health_code + 1] AS health
FROM people WHERE backend = 'north' ORDER BY line
"""

SOUTH = """
CREATE TABLE backend.patients AS
SELECT DISTINCT
    patient_id, lncoins AS log_coinsurance, idp = 1 AS deductible_plan,
    physlm AS physical_limitation, disea AS chronic_diseases, health_code, lpi AS log_incentive
FROM people WHERE backend = 'south' ORDER BY patient_id;
CREATE TABLE backend.visits AS
SELECT patient_id, record_number, mdvis::int AS md_visits
FROM people WHERE backend = 'south' ORDER BY line;
CREATE VIEW backend.person_years AS
SELECT
    visits.patient_id, visits.record_number, visits.md_visits AS visits,
    round(exp(patients.log_coinsurance) - 1, 2) AS coinsurance_percent, patients.deductible_plan
FROM visits JOIN patients ON patients.patient_id = visits.patient_id
"""


def load(data_dir: Path, python: str) -> None:
    """Export the data once, and make each backend's file from it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir) as folder:
        csv = Path(folder) / "randhie.csv"
        subprocess.run([python, "-c", EXPORT, str(csv)], check=True)
        for backend, tables in {"north": NORTH, "south": SOUTH}.items():
            partial = Path(folder) / f"{backend}.duckdb"
            make(partial, csv, tables)
            partial.replace(data_dir / partial.name)


def make(path: Path, csv: Path, tables: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(PEOPLE, {"csv": str(csv)})
        connection.execute(f"ATTACH '{path}' AS backend")
        connection.execute(tables)
        connection.execute("DETACH backend")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the databases of the backends north and south.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--toolchain-python", required=True, help="a Python that has statsmodels")
    options = parser.parse_args()
    load(options.data_dir, options.toolchain_python)


if __name__ == "__main__":
    main()
