"""Pages that show every component in every state. They are made of values, not of a database."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from carrel.pages import charts, errors, live
from carrel.pages.frame import AlertLevel, BackendDot, BackendState, PageFrame, PageLink, PersonMenu, SiteAlert
from carrel.pages.graph import GraphAction
from carrel.pages.lists import active_filters, page_of
from carrel.pages.status_words import STATUS_WORDS, Family, family_counts
from carrel.pages.timeline import TimelineBar

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


def group(request: HttpRequest) -> dict[str, Any]:
    """The drawing of a run over two backends, with realistic values."""
    base = NOW.replace(minute=2)
    north = (
        GraphAction(name="extract", family=Family.SUCCEEDED, url="/"),
        GraphAction(name="normalise", needs=("extract",), family=Family.SUCCEEDED, url="/"),
        GraphAction(name="visits_by_plan", needs=("normalise",), family=Family.RUNNING, url="/"),
        GraphAction(name="model", needs=("normalise",), note="reused"),
    )
    south = (
        *north[:2],
        GraphAction(name="visits_by_plan", needs=("normalise",), family=Family.FAILED, url="/"),
        GraphAction(name="incentives", needs=("normalise", "extract"), family=Family.RUNNING, url="/"),
    )

    def bar(
        backend: str, action: str, family: Family, created: float, started: float | None, ended: float | None
    ) -> TimelineBar:
        moments = [
            minutes if minutes is None else base + timedelta(minutes=minutes) for minutes in (created, started, ended)
        ]
        return TimelineBar(
            backend=backend,
            action=action,
            family=family,
            created_at=moments[0],
            started_at=moments[1],
            ended_at=moments[2],
            url="/",
        )

    bars = [
        bar("north", "extract", Family.SUCCEEDED, 0, 0.4, 4),
        bar("north", "normalise", Family.SUCCEEDED, 0.4, 4, 4.9),
        bar("north", "visits_by_plan", Family.RUNNING, 4, 4.95, None),
        bar("south", "extract", Family.SUCCEEDED, 0, 1, 5),
        bar("south", "normalise", Family.SUCCEEDED, 1, 5, 6),
        bar("south", "visits_by_plan", Family.FAILED, 5, 6.05, 6.55),
        bar("south", "incentives", Family.RUNNING, 5, 7.2, None),
        bar("south", "figure", Family.WAITING, 6, None, None),
    ]
    return components(request) | {
        "north": north,
        "south": south,
        "bars": bars,
        "now": base + timedelta(minutes=10),
        "asked": base,
        "counts": family_counts(["succeeded"] * 4 + ["failed"] + ["running"] * 2 + ["pending"]),
    }


def charted(request: HttpRequest) -> dict[str, Any]:
    codes = ("succeeded", "succeeded", "timed_out", "succeeded", "cancelled_by_user", "nonzero_exit", "executing")
    runs = [charts.LastRun(NOW - timedelta(days=9 - n), code, 100 + 37 * n) for n, code in enumerate(codes)]
    memory = [(NOW + timedelta(seconds=10 * n), 4e8 + 3e8 * math.sin(n / 9) + 2e6 * n) for n in range(60)]
    day = NOW - timedelta(days=1)
    spans = [
        charts.StateSpan(day + timedelta(hours=start), day + timedelta(hours=end), state)
        for start, end, state in (
            (0, 8, BackendState.UP),
            (8, 11, BackendState.PAUSED),
            (11, 13, BackendState.MAINTENANCE),
            (13, 14, BackendState.MISSING),
            (15, 24, BackendState.UP),
        )
    ]
    return {
        "runs": runs,
        "empty_list": [],
        "no_counts": family_counts([]),
        "sparks": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5],
        "memory": memory,
        "spans": spans,
        "day": day,
        "hostile_graph": [
            GraphAction(name=HOSTILE, family=Family.FAILED),
            GraphAction(name=LONG, needs=(HOSTILE,), url="/"),
        ],
    }


def many(request: HttpRequest) -> dict[str, Any]:
    wide = [
        GraphAction(
            name=f"action_{n}",
            needs=tuple(f"action_{m}" for m in {n // 2, n // 3} if m < n),
            family=list(Family)[n % 5],
        )
        for n in range(500)
    ]
    return {
        "wide": wide,
        "many_bars": [
            TimelineBar(backend="north", action=f"action_{n}", family=Family.SUCCEEDED, created_at=NOW, started_at=NOW)
            for n in range(300)
        ],
    }


def changed_code(request: HttpRequest) -> dict[str, Any]:
    added = "".join(f"+line {n} of a long file\n" for n in range(2000))
    return {"diff": DIFF, "long_diff": f"--- /dev/null\n+++ b/{LONG}\n@@ -0,0 +1,2000 @@\n{added}"}


DIFF = """\
diff --git a/analysis/model.py b/analysis/model.py
index 1111111..2222222 100644
--- a/analysis/model.py
+++ b/analysis/model.py
@@ -10,6 +10,7 @@ def rates(table):
     rows = table.group_by("plan")
     counts = rows.count()
-    return counts
+    # Counts of seven or fewer are redacted, the others rounded to five.
+    return rounded(counts, 5)

 def model(table):
     return fit(table, "visits ~ plan + health + log(income)")
diff --git a/old name.sql b/new name.sql
similarity index 100%
rename from old name.sql
rename to new name.sql
diff --git a/plot.png b/plot.png
Binary files a/plot.png and b/plot.png differ
"""


def matrix(request: HttpRequest) -> dict[str, Any]:
    """The drawing of the run page."""
    names = ("extract", "normalise", "incentives", "visits_by_plan", "model", "figure")
    cells = ("succeeded", "nonzero_exit", "never_ran", "dependency_failed", "waiting_on_workers", "executing")
    rows = [
        {
            "name": name,
            "needs": names[max(n - 1, 0)],
            "cells": [
                {
                    "backend": dot.name,
                    "code": cells[(n + 2 * m) % 6],
                    "disabled": name == "incentives" and dot.name != "south",
                    "ticked": (n + m) % 2 == 0,
                    "moment": NOW - timedelta(hours=2 + 40 * n),
                }
                for m, dot in enumerate(BACKENDS)
            ],
        }
        for n, name in enumerate(names)
    ]
    return {"rows": rows, "sha": "3fa9c1e5b7d9013fa9c1e5b7d9013fa9c1e5b7d9", "asked": NOW - timedelta(hours=2),
            "crumbs": [PageLink("Health insurance", "/"), PageLink("main workspace", "")]}  # fmt: skip


def live_context(request: HttpRequest) -> dict[str, Any]:
    return {"steps": STEPS, "step": STATE["step"], "final": STATE["step"] >= STEPS}


STEPS = 3
STATE = {"step": 0, "asked": 0}
"""How far the live page is; tests move it on."""


def live_fragment(request: HttpRequest) -> HttpResponse:
    STATE["asked"] += 1
    etag = live.etag_of(STATE["step"])
    if live.is_current(request, etag):
        return live.unchanged(etag)
    context = live_context(request)
    return live.live_response(render_to_string("gallery/live_parts.html", context), etag, final=context["final"])


def empty(request: HttpRequest) -> dict[str, Any]:
    return {}


PAGES: dict[str, Callable[[HttpRequest], dict[str, Any]]] = {
    "components": components,
    "lists": lists,
    "form": form,
    "confirm": confirm,
    "alerts": alerts,
    "signed-out": empty,
    "group": group,
    "charts": charted,
    "many": many,
    "diff": changed_code,
    "matrix": matrix,
    "live": live_context,
}


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "gallery/index.html", {"names": PAGES})


def show(request: HttpRequest, name: str) -> HttpResponse:
    match name:
        case "no-right":
            reason = "It needs the right “run jobs”, which you do not have here."
            next_step = "A lead of the project “Health insurance” can grant it."
            return errors.error_page(request, 403, "You may not do this", reason, next_step)
        case "too-many":
            return errors.too_many_requests(request)
        case "broken":
            raise RuntimeError("broken")
    if name not in PAGES:
        raise Http404
    template = "pages/confirm.html" if name == "confirm" else f"gallery/{name}.html"
    return render(request, template, PAGES[name](request))
