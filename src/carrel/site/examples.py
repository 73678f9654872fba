"""The studies that come with Carrel."""

from dataclasses import dataclass
from pathlib import Path

from carrel.repos.snapshot import commit_folder
from carrel.site.job_server import StudyWorkspace
from carrel.site.shipped import shipped


@dataclass(frozen=True, slots=True)
class ExampleStudy:
    """An example that comes with Carrel: its folder's name, which names its workspace too, and the database it asks."""

    name: str
    database: str
    purpose: str

    @property
    def folder(self) -> Path:
        return shipped(f"examples/{self.name}")

    def commit(self, repo: Path) -> str:
        """Commit the study to a repository at this path, made where it is missing, and return the commit."""
        return commit_folder(self.folder, repo, message="The example study")

    def workspace(self, repo: Path) -> StudyWorkspace:
        """Return the workspace in which people find it on the job server."""
        return StudyWorkspace(name=self.name, repo=str(repo), purpose=self.purpose, database=self.database)


INSURANCE = ExampleStudy("health-insurance", "default", "Does a higher share of the bill keep people from the doctor?")
MOBILE = ExampleStudy("mobile-assessments", "mobile", "How do people do in tests of attention on their phones?")
EXAMPLES = (INSURANCE, MOBILE)
DEFAULT_BACKENDS = ("north", "south")
"""Where the examples run."""
