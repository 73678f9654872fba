"""What is to be done on other machines for a new backend: settings and commands to be copied. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing to do: where, and the text to copy there."""

    title: str
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupValues:
    """What the commands are made of. A token that is empty stands as a placeholder: it was not made, or not now.

    `prefix`: before the names of settings of a controller that is not the default one (`WEST_`).
    """

    slug: str
    is_polled: bool
    site_url: str
    prefix: str = ""
    controller_url: str = ""
    agent_token: str = ""
    client_token: str = ""
    backend_token: str = ""

    @property
    def variable(self) -> str:
        """What stands before the names of the backend's own settings."""
        return self.slug.upper().replace("-", "_")


def setup_steps(values: SetupValues) -> list[SetupStep]:
    """Return the steps in their order: controller, this server, agent, and how to see that it works."""
    name, shown = values.variable, values.agent_token or "<the agent's token>"
    controller = values.controller_url.removesuffix("controller/v1/") or "https://controller.example.org/"
    backend_token = values.backend_token or "<a token of this backend>"
    client_token = values.client_token or "<the token of the job server>"
    settings = [
        f"# add {values.slug} to the list that is there",
        f"BACKENDS={values.slug}",
        f"{name}_JOB_SERVER_TOKEN={shown}",
    ]
    if values.is_polled:
        settings += [f"JOB_SERVER_ENDPOINT={values.site_url}/api/v2/", f"{name}_JOB_SERVER_LINK_TOKEN={backend_token}"]
    else:
        settings.append(f"{name}_CLIENT_TOKENS={client_token}")
    steps = [
        SetupStep(
            "Controller", "In the environment of the controller; then start its processes again.", "\n".join(settings)
        )
    ]
    if not values.is_polled and not values.controller_url:
        lines = [
            f"{values.prefix}RAP_API_BASE_URL={controller}controller/v1/",
            f"{values.prefix}RAP_API_TOKEN={client_token}",
        ]
        where = "In the environment of this server; then start it again."
        steps.append(SetupStep("This server", where, "\n".join(lines)))
    agent = [
        f"export BACKEND={values.slug} BACKENDS={values.slug}",
        f"export CONTROLLER_TASK_API_ENDPOINT={controller}",
        f"export CONTROLLER_TASK_API_TOKEN={shown}",
        "export WORKDIR=/srv/carrel/agent",
        "export HIGH_PRIVACY_STORAGE_BASE=/srv/carrel/high MEDIUM_PRIVACY_STORAGE_BASE=/srv/carrel/medium",
        "export DEFAULT_DATABASE_URL=<the database, with a log-in that may only read>",
        "carrel agent",
    ]
    steps.append(SetupStep("Agent", "On the machine beside the data, in a folder of its own.", "\n".join(agent)))
    data = [
        f"carrel catalogue build --backend {values.slug} --output {values.slug}.json",
        f"carrel catalogue show {values.slug}.json",
        f"carrel catalogue publish {values.slug}.json --to {values.site_url} --token-file backend-token",
    ]
    where = "Then there, with the backend's token in a file: what studies may query. See it in the file first."
    steps.append(SetupStep("Data catalogue", where, "\n".join(data)))
    return steps


def controller_commands(slug: str) -> list[tuple[str, str]]:
    """Return what is done where the controller runs, and its command: this server only shows how a backend is."""
    return [
        ("Start no new jobs", f"carrel manage pause on {slug}"),
        ("Start jobs again", f"carrel manage pause off {slug}"),
        ("The database is being maintained", f"carrel manage db_maintenance on {slug}"),
        ("Maintenance is over", f"carrel manage db_maintenance off {slug}"),
        ("Before its machine restarts", f"carrel manage prepare_for_reboot --backend {slug}"),
        ("How far that is", f"carrel manage prepare_for_reboot --backend {slug} --status"),
    ]
