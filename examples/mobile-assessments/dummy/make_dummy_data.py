"""Invent a dummy extract with the columns of the real one, for laptops: `python make_dummy_data.py`."""

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
ASSESSMENTS = ("finger-tapping", "reading", "verbal-reasoning")


def session(rng: random.Random, number: int) -> dict[str, object]:
    """One session of one of 40 people."""
    assessment = rng.choice(ASSESSMENTS)
    taps = assessment == "finger-tapping"
    return {
        "participant_id": f"dummy-{rng.randrange(40):02d}",
        "session_id": f"session-{number:03d}",
        "assessment": assessment,
        "system": "Android" if rng.random() < 0.3 else "iOS",
        "app_version": rng.choice((73, 81)),
        "reaction_seconds": round(rng.uniform(0.1, 0.9) if taps else rng.uniform(1, 8), 3),
        "score": rng.randint(4, 20) if taps else round(rng.gauss(0, 1), 3),
        "acceleration": None if assessment == "verbal-reasoning" else round(rng.uniform(1.5, 2.5), 3),
    }


def main() -> None:
    rng = random.Random(20)  # noqa: S311  (made-up data)
    rows = [session(rng, number) for number in range(200)]
    with (HERE / "sessions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
