"""Sessions, reaction times and scores, by assessment, system and version of the app: a table that is safe to show."""

import pandas as pd

from disclosure import safe_counts, safe_means, write_table

GROUPS = ["assessment", "system", "app_version"]
MEASURES = ["reaction_seconds", "score", "acceleration"]


def by_assessment(sessions: pd.DataFrame) -> pd.DataFrame:
    """A row for each group. A mean is over people: each counts once, however many sessions they had."""
    persons = sessions.groupby([*GROUPS, "participant_id"])[MEASURES].mean().groupby(GROUPS)
    groups = sessions.groupby(GROUPS)
    people = groups["participant_id"].nunique()
    table = pd.DataFrame({"people": safe_counts(people, people), "sessions": safe_counts(groups.size(), people)})
    for measure in MEASURES:
        table[f"mean_{measure}"] = safe_means(persons[measure].mean(), persons[measure].count())
    return table.reset_index()


def main() -> None:
    write_table(by_assessment(pd.read_parquet("output/sessions.parquet")), "output/by_assessment.csv")


if __name__ == "__main__":
    main()
