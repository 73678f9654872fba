"""Pages that show every component in every state. They are made of values, not of a database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from carrel.pages import errors
from carrel.pages.frame import AlertLevel, BackendDot, BackendState, PageFrame, PageLink, PersonMenu, SiteAlert
from carrel.pages.lists import active_filters, page_of
from carrel.pages.status_words import STATUS_WORDS, Family

NOW = datetime(2026, 12, 1, 14, 10, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script> & "quotes" \u202e right to left \u202c العربية'
LONG = "a_name_without_any_space_that_goes_on_and_on_" * 4
BACKENDS = (
    BackendDot("north", BackendState.UP, "up, 2 running, 1 waiting", "/status/"),
    BackendDot("south", BackendState.UP, "up, idle", "/status/"),
    BackendDot("west", BackendState.PAUSED, "paused since 09:12", "/status/"),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    signed_out = PageFrame(nav=(PageLink("Projects", "/"),), sign_in_url="/", search_url="/search/")
    signed_in = PageFrame(
        nav=(
            PageLink("Projects", "/", current=True),
            PageLink("Runs", "/lists/"),
            PageLink("Data", "/"),
            PageLink("Status", "/"),
        ),
        search_url="/search/",
        backends=BACKENDS,
        person=PersonMenu("Ann Lee", (PageLink("Your runs", "/"), PageLink("Tokens", "/")), "/sign-out/"),
        footer_links=(PageLink("Help", "/"), PageLink("API", "/")),
    )
    return {"frame": signed_out if request.path.startswith("/signed-out") else signed_in, "now": NOW}


class ExampleForm(forms.Form):
    name = forms.SlugField(max_length=40, help_text="It is the name of a folder on every backend, and stays.")
    purpose = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    email = forms.EmailField(label="Mail address")
    notify = forms.ChoiceField(
        label="Tell me",
        widget=forms.RadioSelect,
        choices=[("end", "when it ends"), ("failure", "at the first failure")],
    )
    backends = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, choices=[("north", "north"), ("south", "south")], required=False
    )
    branch = forms.ChoiceField(choices=[("main", "main"), ("dev", "dev")])
    agreed = forms.BooleanField(label="I have read the agreement", help_text="Version 3, of May.")
    secret = forms.CharField(widget=forms.HiddenInput, required=False)

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("name") == "taken":
            raise forms.ValidationError("There is a workspace of this name. Choose another.")
        return self.cleaned_data


def components(request: HttpRequest) -> dict[str, Any]:
    return {
        "statuses": list(STATUS_WORDS.values()),
        "families": list(Family),
        "moments": [
            NOW - timedelta(seconds=seconds) for seconds in (5, 700, 9000, 200_000, 20_000_000, 90_000_000, -900)
        ],
        "seconds": [0, 0.2, 31, 192, 3900, 190_000, None],
        "sizes": [0, 1, 812, 4_200_000, 412_000_000, 1_200_000_000, None],
        "sha": "3fa9c1e5b7d9013fa9c1e5b7d9013fa9c1e5b7d9",
        "hostile": HOSTILE,
        "long": LONG,
        "pairs": [("Action", "extract"), ("Image", HOSTILE), ("Folder", LONG)],
        "tabs": [
            PageLink("View", "/"),
            PageLink("Compare with turn 1", "/", current=True),
            PageLink("Findings", "/", count=1),
        ],
        "crumbs": [PageLink("Health insurance", "/"), PageLink("main workspace", "/"), PageLink("Runs", "")],
    }


def lists(request: HttpRequest) -> dict[str, Any]:
    rows = [
        {
            "action": f"action_{n}",
            "backend": ("north", "south")[n % 2],
            "code": code,
            "took": n * 7.0,
            "memory": n * 3e6,
        }
        for n, code in enumerate(list(STATUS_WORDS) * 20)
    ]
    filters = active_filters(request.GET, {"backend": "Backend", "status": "Status", "text": "Text"})
    return {"page": page_of(request.GET, rows), "filters": filters, "crumbs": [PageLink("Runs", "")]}


def form(request: HttpRequest) -> dict[str, Any]:
    return {"form": ExampleForm(request.POST if request.method == "POST" else None)}


def confirm(request: HttpRequest) -> dict[str, Any]:
    return {
        "question": "Cancel 3 jobs on 2 backends?",
        "consequence": "They stop at once. What they have made so far is thrown away; outputs of finished jobs stay.",
        "verb": "Cancel 3 jobs",
        "back_url": "/",
        "back_label": "Keep them running",
    }


def alerts(request: HttpRequest) -> dict[str, Any]:
    for level in (messages.INFO, messages.SUCCESS, messages.WARNING, messages.ERROR):
        messages.add_message(request, level, f"A message of level {level}: {HOSTILE}")
    alert_levels = tuple(SiteAlert(f"Of level {level}: {HOSTILE}", level, "West is paused.") for level in AlertLevel)
    return {"frame": PageFrame(alerts=alert_levels, sign_in_url="/")}


def empty(request: HttpRequest) -> dict[str, Any]:
    return {}


PAGES: dict[str, Callable[[HttpRequest], dict[str, Any]]] = {
    "components": components,
    "lists": lists,
    "form": form,
    "confirm": confirm,
    "alerts": alerts,
    "signed-out": empty,
}


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "gallery/index.html", {"names": PAGES})


def show(request: HttpRequest, name: str) -> HttpResponse:
    match name:
        case "no-right":
            raise errors.RightMissing("run jobs", "A lead of the project “Health insurance”")
        case "too-many":
            return errors.too_many_requests(request)
        case "broken":
            raise RuntimeError("broken")
    if name not in PAGES:
        raise Http404
    template = "pages/confirm.html" if name == "confirm" else f"gallery/{name}.html"
    return render(request, template, PAGES[name](request))
