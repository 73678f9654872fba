"""Alerts and redirects."""

from typing import Any

from django import forms
from django.http import Http404, HttpResponse
from django.urls import reverse

from carrel.jobserver.models import Alert, Project, Redirect
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service import notices
from carrel.jobserver.views.posting import posted
from carrel.jobserver.views.staff.lists import StaffCell, StaffList, list_page, staff_form
from carrel.pages.formats import exact_text
from carrel.pages.frame import PageLink

ALERTS = StaffList(
    title="Alerts",
    url_name="staff-alerts",
    noun="alert",
    columns=("Alert", "Level", "Since"),
    cells=lambda alert: (
        StaffCell(alert.title or alert.message[:60], f"/staff/alerts/{alert.pk}/", alert.message[:160]),
        StaffCell(alert.level),
        StaffCell(exact_text(alert.created_at)),
    ),
    standing="Sentences above every page, for those who are signed in.",
    nothing="Write one before maintenance, or when something is down.",
    new_url_name="staff-alert-new",
    new_label="New alert",
)
REDIRECTS = StaffList(
    title="Redirects",
    url_name="staff-redirects",
    noun="redirect",
    columns=("Old address", "Leads to", "Until"),
    cells=lambda redirect: (
        StaffCell(redirect.old_path, f"/staff/redirects/{redirect.pk}/"),
        StaffCell(redirect.project.name, redirect.project.get_absolute_url()),
        StaffCell(exact_text(redirect.expires_at)),
    ),
    standing="Addresses that projects had before; each leads to its project for a year.",
    nothing="They come by themselves when a project gets another address.",
    new_url_name="staff-redirect-new",
    new_label="New redirect",
)


class AlertForm(forms.ModelForm):
    class Meta:
        model = Alert
        fields = notices.TEXTS
        help_texts = {"message": "Plain text, one or two sentences."}


class RedirectForm(forms.Form):
    """An old address and the project it leads to."""

    old_path = forms.CharField(max_length=200, label="Old address", help_text="The first part alone: old-name.")
    project = forms.ModelChoiceField(Project.objects.all(), to_field_name="slug")


def alerts(request: CarrelRequest) -> HttpResponse:
    return list_page(request, Alert.objects.all(), ALERTS)


def alert_new(request: CarrelRequest) -> HttpResponse:
    form = AlertForm(posted(request))
    back = PageLink("Alerts", reverse("staff-alerts"))
    return staff_form(
        request,
        form,
        lambda values: notices.create_alert(values, request),
        heading="New alert",
        back=back,
        done="It stands above every page now.",
    )


def alert_edit(request: CarrelRequest, *, pk: int) -> HttpResponse:
    """Change an alert, or take it off."""
    alert = one(Alert, pk)

    def submit(values: dict[str, Any]) -> None:
        if "delete" in request.POST:
            notices.delete_alert(alert, request)
        else:
            notices.edit_alert(alert, values, request)

    form = AlertForm(posted(request), instance=one(Alert, pk))
    back = PageLink("Alerts", reverse("staff-alerts"))
    return staff_form(
        request, form, submit, heading="Alert", back=back, done="The alerts were changed.", delete_verb="Take it off"
    )


def redirects(request: CarrelRequest) -> HttpResponse:
    return list_page(request, Redirect.objects.select_related("project").order_by("old_path"), REDIRECTS)


def redirect_new(request: CarrelRequest) -> HttpResponse:
    form = RedirectForm(posted(request))
    back = PageLink("Redirects", reverse("staff-redirects"))
    return staff_form(
        request,
        form,
        lambda values: notices.create_redirect(actor=request, **values),
        heading="New redirect",
        back=back,
        done="The old address leads to the project now.",
    )


def redirect_page(request: CarrelRequest, *, pk: int) -> HttpResponse:
    """Forget an old address."""
    row = one(Redirect, pk)
    back = PageLink("Redirects", reverse("staff-redirects"))
    return staff_form(
        request,
        forms.Form(posted(request)),
        lambda values: notices.delete_redirect(row, request),
        heading=f"Forget {row.old_path}",
        standing=f"It leads to {row.project.name}. Links that use it will find nothing.",
        verb="Forget it",
        back=back,
        done="The old address is forgotten.",
    )


def one(model: Any, pk: int) -> Any:
    """Return the row. Raises Http404."""
    row = model.objects.filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


MAY_ALERT, MAY_REDIRECT = permitted(Permission.ALERT_MANAGE), permitted(Permission.PROJECT_CREATE)
PAGES = [
    Page("staff/alerts/", alerts, "staff-alerts", MAY_ALERT),
    Page("staff/alerts/new/", alert_new, "staff-alert-new", MAY_ALERT),
    Page("staff/alerts/<int:pk>/", alert_edit, "staff-alert", MAY_ALERT),
    Page("staff/redirects/", redirects, "staff-redirects", MAY_REDIRECT),
    Page("staff/redirects/new/", redirect_new, "staff-redirect-new", MAY_REDIRECT),
    Page("staff/redirects/<int:pk>/", redirect_page, "staff-redirect", MAY_REDIRECT),
]
