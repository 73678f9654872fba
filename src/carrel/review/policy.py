"""A backend's review policy: one readable YAML file (docs/reference/review-policy.md has a sample with every key)."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from carrel.disclosure.policy import DisclosurePolicy, DisclosurePolicyError, read_disclosure_policy
from carrel.project import LEVEL4_FILE_TYPES
from carrel.project.model_files import ModelFile, ModelFileError
from carrel.project.problems import listed
from carrel.review import settings
from carrel.units.limits import MAX_POLICY_BYTES
from carrel.units.settings import SettingsError

MOST_CHECKERS = 9
PDF = ".pdf"
"""Shown as pages that the server draws; only where a backend lists it."""


def check_file_type(suffix: str) -> str:
    """Return a last extension that can be reviewed. Raises ValueError for another one."""
    known = (*LEVEL4_FILE_TYPES, PDF)
    if suffix not in known:
        raise ValueError(f"{suffix!r} is no type that can be reviewed; there are {', '.join(known)}")
    return suffix


Checkers = Annotated[int, Field(ge=1, le=MOST_CHECKERS)]
ReviewedType = Annotated[str, AfterValidator(check_file_type)]


MOST_TEXT = 500
WebAddress = Annotated[str, Field(max_length=MOST_TEXT, pattern=r"^(https?://[!-~]+)?$")]


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProjectPolicy(_Policy):
    """What is different for one project, and what the proof of its releases says of it."""

    checkers: Checkers | None = None
    approval: str = Field(default="", max_length=MOST_TEXT)
    """The reference of its approval."""
    funder: str = Field(default="", max_length=MOST_TEXT)


class ProofPolicy(_Policy):
    """What the proof of a release says of this backend."""

    organisation: str = Field(default="", max_length=MOST_TEXT)
    """Its name; the backend's where there is none."""
    organisation_url: WebAddress = ""
    license: WebAddress = ""
    """Of the released files."""


class VisibilityPolicy(_Policy):
    """Who sees what, where nobody says otherwise."""

    checkers_comments: Literal["private", "public"] = "private"
    """How a checker's comment starts out during a review (R19)."""
    copilots: bool = True
    """Copilots of a workspace see it and its requests here (R1)."""
    readers_of_everything: bool = True
    """People whom the job server lets read all workspaces may do so here (R1)."""


class ReviewPolicy(_Policy):
    """All of one file."""

    checkers: Checkers = 2
    """How many output checkers must approve a file; its author never counts."""
    projects: dict[str, ProjectPolicy] = Field(default_factory=dict)
    """By the project's name."""
    file_types: list[ReviewedType] = Field(default_factory=lambda: list(LEVEL4_FILE_TYPES), min_length=1)
    """Last extensions, in lower case with their dot, of files that may be released."""
    disclosure: dict[str, Any] = Field(default_factory=dict)
    """Thresholds of the disclosure rules (`carrel.disclosure.policy`)."""
    visibility: VisibilityPolicy = Field(default_factory=VisibilityPolicy)
    proof: ProofPolicy = Field(default_factory=ProofPolicy)

    @cached_property
    def rules(self) -> DisclosurePolicy:
        """The thresholds as the disclosure rules take them."""
        return read_disclosure_policy(self.disclosure)

    def checkers_of(self, project: str) -> int:
        """Return how many output checkers a project's files need."""
        return (self.projects[project].checkers if project in self.projects else None) or self.checkers

    def allows(self, path: str) -> bool:
        """Tell whether a file of this name may be released, by its last extension in any case."""
        return Path(path).suffix.lower() in self.file_types


def read_policy(path: Path) -> ReviewPolicy:
    """Read a policy file. Raises SettingsError, which names every mistake with its line and column."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_POLICY_BYTES + 1).decode("utf-8-sig")
        file = ModelFile(ReviewPolicy, text, str(path), rule="policy", max_bytes=MAX_POLICY_BYTES)
        _ = file.value.rules
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"REVIEW_POLICY: {path} cannot be read: {reason}.") from None
    except ModelFileError as error:
        raise SettingsError(f"REVIEW_POLICY cannot be used.\n{error}") from None
    except DisclosurePolicyError as error:
        keys = [line.partition(":")[0].split(".")[1:] for line in str(error).splitlines()]
        places = [file.at(line, ("disclosure", *key)) for key, line in zip(keys, str(error).splitlines(), strict=True)]
        raise SettingsError(f"REVIEW_POLICY cannot be used.\n{listed(places)}") from None
    return file.value


@lru_cache(maxsize=1)
def _of_file(path: Path, _stamp: tuple[int, int]) -> ReviewPolicy:
    return read_policy(path)


def get() -> ReviewPolicy:
    """Return the policy that holds now: a changed file holds from the next request on. Raises SettingsError."""
    path = settings.get().review_policy
    if path is None:
        return ReviewPolicy()
    try:
        status = path.stat()
    except OSError as error:
        raise SettingsError(f"REVIEW_POLICY: {path} cannot be read: {error.strerror}.") from None
    return _of_file(path, (status.st_mtime_ns, status.st_size))
