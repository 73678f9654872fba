"""Forms: what was typed stays, each error stands beside its field and in the summary, and leads to the field."""

import re

from django.test import Client


def test_an_empty_form_has_labels_and_help() -> None:
    html = Client().get("/form/").content.decode()
    assert '<label for="id_name">Name</label>' in html
    assert 'id="id_name_helptext"' in html
    assert 'aria-describedby="id_name_helptext"' in html
    assert "<legend>Tell me" in html
    assert "There is a problem" not in html


def test_errors_lead_to_their_fields_and_what_was_typed_stays() -> None:
    typed = {"name": "taken", "email": "<no mail>", "branch": "main", "purpose": "Why & wherefore"}
    html = Client().post("/form/", typed).content.decode()
    summary = re.search(r'<div class="error-summary".*?</div>', html, re.DOTALL)
    assert summary
    assert "There is a workspace of this name. Choose another." in summary[0]
    for target in re.findall(r'href="#([^"]+)"', summary[0]):
        assert f'id="{target}"' in html
    assert '<a href="#id_notify_0">Tell me: This field is required.</a>' in summary[0]
    assert 'value="&lt;no mail&gt;"' in html
    assert "Why &amp; wherefore" in html
    assert 'aria-invalid="true"' in html
    assert html.count('class="field wrong') == 3
