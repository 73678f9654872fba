"""Signing in inside a backend by a job server: what a review site asks, and what it is told of a person.

Spec: review-and-release.md section 2.6, job-server.md section 2.3.
"""

from pydantic import BaseModel, Field


class SignIn(BaseModel):
    """Who signs in, and the three words that the job server showed them."""

    user: str = Field(max_length=254, description="Username or e-mail address")
    token: str = Field(max_length=200, examples=["bofad gukil tomas"])


class SignedIn(BaseModel):
    """Who is signed in, by username."""

    user: str = Field(max_length=254)


class ProjectDetails(BaseModel):
    """The project of a workspace. `orgs`: names, the leading one first."""

    name: str
    ongoing: bool
    orgs: list[str]


class WorkspaceDetails(BaseModel):
    """A workspace whose outputs a person may see."""

    project_details: ProjectDetails
    archived: bool


class Level4Person(BaseModel):
    """A person as a backend's review site knows them."""

    username: str
    fullname: str
    workspaces: dict[str, WorkspaceDetails]
    copiloted_workspaces: dict[str, WorkspaceDetails]
    output_checker: bool
    readonly_access: bool
