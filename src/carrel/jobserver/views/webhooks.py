"""A project's webhooks: addresses that are called when its runs end or fail."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.models import OutgoingMessage, Project, Webhook
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.runs.webhooks import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from carrel.jobserver.service import webhooks
from carrel.jobserver.service.notifications import mail_is_configured
from carrel.jobserver.views.posting import SeeOther, form_page, posted
from carrel.pages.frame import PageLink

LAST_CALLS = 20


class WebhookForm(forms.Form):
    """The address to call."""

    url = forms.URLField(
        label="Address",
        max_length=500,
        assume_scheme="https",
        help_text="It is called when a run of this project fails or ends: https, and not inside a network.",
    )


def webhook_list(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """The addresses with their secrets and their last calls; a form for one more."""
    here = reverse("project-webhooks", args=[project.slug])

    def submit(data: dict[str, str]) -> str:
        webhooks.add_webhook(project, data["url"], request, request.person)
        messages.success(request, "It is called from now on. Its secret is below.")
        return here

    active = list(project.webhooks.filter(is_active=True, run=None).order_by("id"))
    calls = OutgoingMessage.objects.filter(webhook__in=active).select_related("webhook").order_by("-id")[:LAST_CALLS]
    return form_page(
        request,
        WebhookForm(posted(request)),
        submit,
        template="jobserver/runs/webhooks.html",
        project=project,
        crumbs=[PageLink(project.name, f"/{project.slug}/"), PageLink("Webhooks")],
        webhooks=active,
        calls=list(calls),
        headers=(EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER),
        mail_is_configured=mail_is_configured(),
    )


def try_one(request: CarrelRequest, *, project: Project, pk: int) -> HttpResponse:
    """Send a call that says only that it is a try."""
    webhook = _webhook(project, pk)
    if request.method == "POST":
        webhooks.try_webhook(webhook, request)
        messages.success(request, "A call is on its way. What became of it shows below in a moment.")
    return SeeOther(reverse("project-webhooks", args=[project.slug]))


def remove(request: CarrelRequest, *, project: Project, pk: int) -> HttpResponse:
    """Asks first; then the address is called no more."""
    webhook = _webhook(project, pk)
    here = reverse("project-webhooks", args=[project.slug])
    if request.method == "POST":
        webhooks.remove_webhook(webhook, request)
        messages.success(request, f"{webhook.url} is no longer called.")
        return SeeOther(here)
    context = {
        "question": "Call this address no more?",
        "consequence": f"{webhook.url} is told nothing from now on, and its secret is forgotten.",
        "verb": "Remove it",
        "back_url": here,
        "crumbs": [PageLink(project.name, f"/{project.slug}/"), PageLink("Webhooks", here), PageLink("Remove")],
    }
    return render(request, "pages/confirm.html", context)


def _webhook(project: Project, pk: int) -> Webhook:
    webhook = project.webhooks.filter(pk=pk, is_active=True).first()
    if webhook is None:
        raise Http404("There is no such webhook.")
    webhook.project = project
    return webhook


MANAGERS = permitted(Permission.PROJECT_MANAGE)
PROJECT_PAGES = [
    Page("<slug:project>/webhooks/", webhook_list, "project-webhooks", MANAGERS),
    Page("<slug:project>/webhooks/<int:pk>/try/", try_one, "webhook-try", MANAGERS),
    Page("<slug:project>/webhooks/<int:pk>/remove/", remove, "webhook-remove", MANAGERS),
]
