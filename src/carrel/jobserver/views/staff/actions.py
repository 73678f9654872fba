"""A page with several small forms: each is an action with a form of its own, posted to the page's own address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse

from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.views.posting import SeeOther, add_errors

WHICH = "do"
"""The form's field that names the action."""


@dataclass(frozen=True, slots=True)
class PageAction:
    """What one form of the page does: `submit` gets the request, the page's row and what was entered.

    It returns the sentence that tells what was done, and may raise ValidationError.
    """

    submit: Callable[[CarrelRequest, Any, dict[str, Any]], str]
    form: type[forms.Form] = forms.Form
    initial: Callable[[Any], dict[str, Any]] | None = None


def take_action(
    request: CarrelRequest, row: Any, actions: Mapping[str, PageAction]
) -> tuple[dict[str, forms.Form], HttpResponse | None]:
    """Do what was posted and return where to go then; or return the forms, with what was typed and what is wrong."""
    chosen = request.POST.get(WHICH, "") if request.method == "POST" else ""
    shown = {
        name: action.form(
            request.POST if name == chosen else None,
            prefix=name,
            initial=action.initial(row) if action.initial else None,
        )
        for name, action in actions.items()
    }
    if chosen in actions and shown[chosen].is_valid():
        try:
            messages.success(request, actions[chosen].submit(request, row, shown[chosen].cleaned_data))
            return shown, SeeOther(request.path)
        except ValidationError as error:
            add_errors(shown[chosen], error)
    return shown, None


def status_of(shown: Mapping[str, forms.Form]) -> int:
    """Return 422 where something is wrong with what was posted."""
    return 422 if any(form.is_bound and form.errors for form in shown.values()) else 200
