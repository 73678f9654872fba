"""Forms of the settings pages. What may not be is refused by `service.accounts` and `service.tokens`."""

from datetime import timedelta

from django import forms

from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.rights.scopes import SCOPE_WORDS

TOKEN_DAYS = (7, 30, 90, 365)
DEFAULT_TOKEN_DAYS = 90


class NameForm(forms.Form):
    """What others read beside what somebody did."""

    fullname = forms.CharField(label="Name", max_length=NAME_LENGTH, help_text="As others here know you.")


class AddressForm(forms.Form):
    """Where mails go to."""

    email = forms.EmailField(label="E-mail address", required=False, help_text="Leave it empty to get no mail.")


class DigestForm(forms.Form):
    """How often mails come."""

    digest = forms.BooleanField(
        label="One mail a day",
        required=False,
        help_text="It tells of all your runs that ended, instead of one mail for each run.",
    )


class TokenForm(forms.Form):
    """What a new personal token is for."""

    name = forms.CharField(max_length=100, help_text="What will use it, such as “laptop” or “nightly script”.")
    scopes = forms.MultipleChoiceField(
        label="A program with it may",
        choices=[(scope.value, words) for scope, words in SCOPE_WORDS.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    life = forms.TypedChoiceField(
        label="It ends after",
        choices=[(days, f"{days} days") for days in TOKEN_DAYS],
        coerce=lambda days: timedelta(days=int(days)),
        initial=DEFAULT_TOKEN_DAYS,
    )


class AgreementForm(forms.Form):
    """The tick that signs."""

    agreed = forms.BooleanField(
        label="I have read this and agree to it.", error_messages={"required": "Tick the box to sign."}
    )
