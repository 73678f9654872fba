"""Invent dummy extracts with the columns of the real ones, to try the study on a laptop: `python make_dummy_data.py`.

Nothing in them comes from real people. The numbers are drawn anew, the same each time.
"""

import csv
import math
import random
from pathlib import Path

HERE = Path(__file__).parent
HEALTH = ("excellent", "good", "fair", "poor")


def person(number: int, rng: random.Random) -> dict[str, object]:
    """What stays the same over the years."""
    return {
        "patient_id": number,
        "coinsurance": rng.choice([0, 0, 25, 50, 95, 100]),
        "deductible": rng.random() < 0.25,
        "limited": int(rng.random() < 0.1),
        "chronic": round(rng.uniform(0, 30), 1),
        "health": rng.choices(range(4), weights=[5, 3, 2, 1])[0],
        "incentive": rng.choice([1, 200, 450, 700, 900]),
    }


def person_years(count: int, seed: int):
    """(person, record_number, visits), three years for each of `count` people."""
    rng = random.Random(seed)  # noqa: S311  (made-up data)
    for number in range(1, count + 1):
        who = person(number, rng)
        for record in (1, 2, 3):
            yield who, record, min(int(rng.expovariate(1 / 3)), 60)


def north(who: dict, record: int, visits: int) -> dict[str, object]:
    return {
        "patient_id": who["patient_id"],
        "record_number": record,
        "visits": visits,
        "coinsurance_percent": float(who["coinsurance"]),
        "deductible_plan": str(who["deductible"]).lower(),
        "physical_limitation": who["limited"],
        "chronic_diseases": who["chronic"],
        "health": HEALTH[who["health"]],
    }


def south(who: dict, record: int, visits: int) -> dict[str, object]:
    return {
        "patient_id": who["patient_id"],
        "record_number": record,
        "md_visits": visits,
        "log_coinsurance": round(math.log1p(who["coinsurance"]), 5),
        "deductible_plan": str(who["deductible"]).lower(),
        "physical_limitation": who["limited"],
        "chronic_diseases": who["chronic"],
        "health_code": who["health"],
        "log_incentive": round(math.log(who["incentive"]), 5),
    }


def write(backend: str, shape, seed: int) -> None:
    rows = [shape(*year) for year in person_years(100, seed)]
    with (HERE / f"{backend}.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write("north", north, seed=1)
    write("south", south, seed=2)
