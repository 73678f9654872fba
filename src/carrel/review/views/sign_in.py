"""Signing in and out."""

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from carrel.review import settings
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.accounts import account_of, begin_session
from carrel.review.audit_types import AuditType
from carrel.review.service.audit import record
from carrel.review.signing_in import SignInRefused, sign_in_by_password, sign_in_by_words


class PasswordForm(forms.Form):
    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"}))
    secret = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class WordsForm(forms.Form):
    username = forms.CharField(
        label="Username or e-mail address",
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    secret = forms.CharField(
        label="Three words",
        help_text="The job server shows them under Settings, Tokens. They work once, within the hour.",
        max_length=200,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


def sign_in(request: ReviewRequest) -> HttpResponse:
    """Take three words of the job server or, where there is none, the password of an account of this machine."""
    by_words = bool(settings.get().job_server_endpoint)
    form = (WordsForm if by_words else PasswordForm)(request.POST or None)
    if request.method == "POST" and form.is_valid():
        sign_in_by = sign_in_by_words if by_words else sign_in_by_password
        username, secret = form.cleaned_data["username"].strip(), form.cleaned_data["secret"]
        try:
            account = sign_in_by(username, secret, request.META.get("REMOTE_ADDR", ""), timezone.now())
        except SignInRefused as error:
            form.add_error(None, str(error))
        else:
            begin_session(request.session, account)
            rotate_token(request)
            url = request.GET.get("next", "")
            is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure())
            return HttpResponseRedirect(url if is_ours else "/")
    elif request.method == "GET" and request.viewer is None and account_of(request.session):
        # They did sign in: what they may do is not known just now, or they may do nothing here any more.
        return render(request, "review/sign_in.html", {"form": form, "is_without_rights": True}, status=403)
    return render(request, "review/sign_in.html", {"form": form})


@require_POST
def sign_out(request: ReviewRequest) -> HttpResponse:
    """End the session."""
    if account := account_of(request.session):
        record(AuditType.SIGN_OUT, actor=account.pk)
    request.session.flush()
    return redirect("sign_in")


PAGES = [
    ReviewPage("sign-in/", sign_in, "sign_in", ReviewAccess.EVERYBODY),
    ReviewPage("sign-out/", sign_out, "sign_out", ReviewAccess.EVERYBODY),
]
