"""Signing in and out."""

from django import forms
from django.contrib.auth.hashers import check_password, make_password
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.accounts import SESSION_KEY
from carrel.review.models import Account
from carrel.review.service.audit import record


class SignInForm(forms.Form):
    username = forms.CharField(max_length=254)
    password = forms.CharField(widget=forms.PasswordInput, max_length=1000)


def sign_in(request: ReviewRequest) -> HttpResponse:
    """Take a username and a password of an account of this machine."""
    form = SignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        account = Account.objects.filter(
            pk=form.cleaned_data["username"].strip(), is_active=True, source=Account.AccountSource.LOCAL
        ).first()
        # A hash is worked out for nobody too: how long it takes does not tell who has an account.
        password_fits = check_password(
            form.cleaned_data["password"], account.password if account else make_password("nobody")
        )
        if account and password_fits:
            request.session.cycle_key()
            request.session[SESSION_KEY] = account.pk
            record("SIGN_IN", actor=account.pk)
            return HttpResponseRedirect(_next(request))
        record("SIGN_IN_REFUSED", actor="", extra={"username": form.cleaned_data["username"][:150]})
        form.add_error(None, "Wrong username or password.")
    return render(request, "review/sign_in.html", {"form": form})


@require_POST
def sign_out(request: ReviewRequest) -> HttpResponse:
    """End the session."""
    request.session.flush()
    return redirect("sign_in")


def _next(request: ReviewRequest) -> str:
    url = request.GET.get("next", "")
    return url if url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure()) else "/"


PAGES = [
    ReviewPage("sign-in/", sign_in, "sign_in", ReviewAccess.EVERYBODY),
    ReviewPage("sign-out/", sign_out, "sign_out", ReviewAccess.EVERYBODY),
]
