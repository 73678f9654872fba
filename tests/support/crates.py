"""What roc-validator says of a crate, without a network: in a process of its own, as it patches libraries and warns.

The one document that it would fetch, the context of RO-Crate 1.3, is in the package `rocrate`; its cache is given it.
"""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

CONTEXT = "https://w3id.org/ro/crate/1.3/context"
ACCEPT = "application/ld+json, application/json, */*;q=0.1"
PROFILES = {"ro-crate-1.3": True, "process-run-crate-0.5": False}
"""Each with whether the profiles are asked that it stands on: Process Run Crate's is RO-Crate 1.1."""


def validator_problems(crate: Path, cache: Path) -> dict[str, list[str]]:
    """What the crate in a folder lacks of what each profile requires, by profile."""
    command = [sys.executable, __file__, crate, cache]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def fill(cache: Path) -> None:
    from requests import Request
    from requests_cache import CachedRequest, CachedResponse, CachedSession

    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        request = session.prepare_request(Request("GET", CONTEXT, headers={"Accept": ACCEPT}))
        response = CachedResponse(
            url=CONTEXT,
            status_code=200,
            content=(files("rocrate") / "data/ro-crate.jsonld").read_bytes(),
            request=CachedRequest.from_request(request),
            headers={"Content-Type": "application/ld+json"},
        )
        session.cache.save_response(response, session.cache.create_key(request))


def main(crate: Path, cache: Path) -> None:
    from rocrate_validator import services

    fill(cache)
    problems = {}
    for profile, inherits in PROFILES.items():
        settings = services.ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier=profile,
            enable_profile_inheritance=inherits,
            offline=True,
            cache_path=cache,
        )
        issues = services.validate(settings).get_issues()
        problems[profile] = [f"{issue.check.identifier} {issue.message} {issue.violatingEntity}" for issue in issues]
    print(json.dumps(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
