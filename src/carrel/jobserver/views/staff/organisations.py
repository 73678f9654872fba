"""Organisations, as those see them who manage them."""

from django import forms
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.urls import reverse

from carrel.jobserver.models import Organisation
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service import people
from carrel.jobserver.views.posting import posted
from carrel.jobserver.views.staff.lists import StaffCell, StaffList, list_page, staff_form
from carrel.pages.frame import PageLink

ORGANISATIONS = StaffList(
    title="Organisations",
    url_name="staff-organisations",
    noun="organisation",
    columns=("Organisation", "People", "Projects"),
    cells=lambda row: (
        StaffCell(row.name, f"/staff/organisations/{row.slug}/", row.slug),
        StaffCell(row.people),
        StaffCell(row.takes_part),
    ),
    standing="Universities, hospitals and companies that take part in projects.",
    nothing="Add the first one; projects and people can then name it.",
    new_url_name="staff-organisation-new",
    new_label="New organisation",
)


class OrganisationForm(forms.ModelForm):
    class Meta:
        model = Organisation
        fields = ("name", "slug", "description")
        help_texts = {"slug": "Its name in addresses: lower-case letters, digits and -."}


def organisations(request: CarrelRequest) -> HttpResponse:
    rows = Organisation.objects.annotate(
        people=Count("memberships", distinct=True), takes_part=Count("collaborations", distinct=True)
    ).order_by("name")
    return list_page(request, rows, ORGANISATIONS)


def organisation_new(request: CarrelRequest) -> HttpResponse:
    return staff_form(
        request,
        OrganisationForm(posted(request)),
        lambda values: people.create_organisation(values, request),
        heading="New organisation",
        back=PageLink("Organisations", reverse("staff-organisations")),
        done="The organisation was added.",
    )


def organisation_edit(request: CarrelRequest, *, slug: str) -> HttpResponse:
    """Change its name and description."""
    row = Organisation.objects.filter(slug=slug).first()
    if row is None:
        raise Http404
    return staff_form(
        request,
        OrganisationForm(posted(request), instance=row),
        lambda values: people.edit_organisation(row, values, request),
        heading=row.name,
        back=PageLink("Organisations", reverse("staff-organisations")),
        done="The organisation was changed.",
    )


MAY = permitted(Permission.ORG_CREATE)
PAGES = [
    Page("staff/organisations/", organisations, "staff-organisations", MAY),
    Page("staff/organisations/new/", organisation_new, "staff-organisation-new", MAY),
    Page("staff/organisations/<slug:slug>/", organisation_edit, "staff-organisation", MAY),
]
