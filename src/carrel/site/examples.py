"""The studies that come with Carrel, and where people find them on a site."""

from dataclasses import dataclass
from pathlib import Path

from carrel.repos.snapshot import commit_folder
from carrel.site.job_server import StudyWorkspace
from carrel.site.shipped import shipped


@dataclass(frozen=True, slots=True)
class ExampleStudy:
    """An example that comes with Carrel: its folder's name, which names its workspace too, and the database it asks.

    `dummy_database`: what that is called where no backend has any. It is not `default`, which other studies on dummy
    data ask: the catalogues say nothing of what those read, and so refuse none of it.
    """

    name: str
    database: str
    dummy_database: str
    purpose: str

    @property
    def folder(self) -> Path:
        return shipped(f"examples/{self.name}")

    def commit(self, repo: Path) -> str:
        """Commit the study to a repository at this path, made where it is missing, and return the commit."""
        return commit_folder(self.folder, repo, message="The example study")

    def workspace(self, repo: Path, *, is_dummy: bool = False) -> StudyWorkspace:
        """Return the workspace in which people find it on the job server."""
        database = self.dummy_database if is_dummy else self.database
        return StudyWorkspace(name=self.name, repo=str(repo), purpose=self.purpose, database=database)

    def dummy_tables(self, backend: str) -> list[Path]:
        """Return the files of SQL that make the tables which its dummy data stands for on a backend."""
        files = [self.folder / "dummy" / name for name in ("tables.sql", f"tables_{backend}.sql")]
        return [path for path in files if path.is_file()]


INSURANCE = ExampleStudy(
    "health-insurance", "default", "insurance", "Does a higher share of the bill keep people from the doctor?"
)
MOBILE = ExampleStudy(
    "mobile-assessments", "mobile", "mobile", "How do people do in tests of attention on their phones?"
)
SELF_RATED = ExampleStudy(
    "self-rated-health", "default", "insurance", "Do people in poor health see a doctor more? Only north can tell."
)
EXAMPLES = (INSURANCE, MOBILE, SELF_RATED)
DUMMY_DATABASES = tuple(sorted({study.dummy_database for study in EXAMPLES}))
DEFAULT_BACKENDS = ("north", "south")
"""Where the examples run."""
