"""Fixed words and limits of the format (spec: project-yaml.md part 2)."""

RUN_ALL_COMMAND = "run_all"
"""Name that stands for every action when it is requested; reserved from version 5."""

LATEST_VERSION = 5
KNOWN_VERSIONS = (1.0, 2.0, 3.0, 4.0, 5.0)

LEVELS = ("highly_sensitive", "moderately_sensitive", "minimally_sensitive")
"""Privacy levels of outputs, in the order in which they are looked at."""

LEVEL4_FILE_TYPES = (".csv", ".jpg", ".jpeg", ".png", ".svg", ".svgz", ".html", ".txt", ".log", ".json", ".md")
"""Last extensions that a moderately sensitive output may have: in project.yaml just so written, of a file in any case.
Tasks name them in this order."""

RESERVED_FOLDERS = frozenset({"metadata", ".carrel", ".staging"})
"""Folders at the top of a study or workspace that are Carrel's own: no output, and no file of the study for a job.
`.staging` is where outputs wait, for an instant, to become visible together; `.carrel` is what `carrel up` keeps where
it is started."""
GIT_FOLDER = ".git"
"""Git's own, at whatever depth."""

DEFAULT_POPULATION_SIZE = 1000

DEFAULT_BACKENDS = ("tpp",)
CONVENTIONAL_BACKENDS = ("test", "tpp", "emis", "ted")
"""Names a laptop, which has no list of backends, does not warn about."""

DATABASE_COMMANDS: dict[str, frozenset[str] | None] = {
    "ehrql": frozenset({"generate-dataset", "generate-measures"}),
    "sqlrunner": None,
    "cohortextractor": frozenset({"generate_cohort", "generate_codelist_report"}),
    "databuilder": frozenset({"generate-dataset"}),
}
"""Commands of each image that may reach the database; None: all of them."""
