"""The demo's first release: requested, approved by two, uploaded, published; what the rules found is held back."""

import io
import json
import threading

from django.core.management import call_command
from tests.jobserver.api.conftest import Api
from tests.support.jobserver import add_person
from tests.support.review import WORKSPACE, add_outputs

from carrel.review.sending import process


def test_from_outputs_to_a_public_page(job_server: Api) -> None:
    from carrel.jobserver.models import ProjectMembership, Role, RoleAssignment, User

    ann = User.objects.get(username="ann")
    ProjectMembership.objects.create(project=job_server.project, user=ann)
    role = Role.objects.get(name="ProjectDeveloper")
    RoleAssignment.objects.create(user=ann, role=role, project=job_server.project)
    add_person("pub", "OutputPublisher")
    add_outputs(
        {"output/model.md": b"Visits do not differ by plan.\n", "output/small.csv": b"plan,count\na,3\nb,240\n"}
    )
    stop, out = threading.Event(), io.StringIO()
    thread = threading.Thread(target=process.run, args=(stop,))
    thread.start()
    try:
        call_command("review_example", WORKSPACE, "--author=ann", "--checker=bob", "--checker=cat", stdout=out)
    finally:
        stop.set()
        thread.join()
    result = json.loads(out.getvalue())
    assert result["released"] == ["output/model.md"]
    assert set(result["held_back"]) == {"output/small.csv"}
    said = io.StringIO()
    call_command("publish_release", result["request"], "--by=pub", stdout=said)
    page = said.getvalue().strip()
    assert page.endswith(f"/cancer/{WORKSPACE}/published/")
    answer = job_server.http.get(job_server.url + page[page.index("/cancer") :])
    assert answer.status_code == 200
    assert "north/output/model.md" in answer.text
    assert "small.csv" not in answer.text
