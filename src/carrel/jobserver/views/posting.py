"""What views share that take forms: show, check, do, and go on; what was typed stays where something is wrong."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

POSTED = "posted_forms"
"""Of a session: forms that `is_posted_again` knows, the latest last."""
MAX_POSTED = 20


class SeeOther(HttpResponseRedirect):
    """303: the form was taken; look here now. Reloading that page posts nothing again."""

    status_code = 303


class DayInput(forms.DateInput):
    """A date as browsers ask for it."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


def form_page(
    request: HttpRequest,
    form: forms.BaseForm,
    submit: Callable[[dict[str, Any]], str],
    *,
    template: str = "jobserver/form.html",
    **context: Any,
) -> HttpResponse:
    """Show a form; when it is posted and right, do what `submit` does and go where it says.

    `submit` gets what was entered and may raise ValidationError: it stands beside its fields then. `context` of the
    usual template: heading, standing, verb (of the button), back_url, crumbs, aside.
    """
    if request.method == "POST" and form.is_valid():
        try:
            return SeeOther(submit(form.cleaned_data))
        except ValidationError as error:
            add_errors(form, error)
    status = 422 if form.errors else 200
    return render(request, template, {"form": form, **context}, status=status)


def add_errors(form: forms.BaseForm, error: ValidationError) -> None:
    """Put the errors beside the fields that the form has, and the others above them."""
    by_field = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    for name, reasons in by_field.items():
        form.add_error(name if name in form.fields else None, reasons)


def is_posted_again(request: HttpRequest) -> bool:
    """Tell whether this very form came before in this session, as when its answer is reloaded; remembers it.

    For answers that show a secret once, which no redirect can. A form's CSRF token is another whenever it is drawn.
    """
    form = request.POST.get("csrfmiddlewaretoken", "")[:100]
    earlier = request.session.get(POSTED, [])
    if form and form not in earlier:
        request.session[POSTED] = [*earlier, form][-MAX_POSTED:]
    return form in earlier


def posted(request: HttpRequest) -> Any:
    """Return what a form is bound to: what was posted, or nothing."""
    return request.POST if request.method == "POST" else None
