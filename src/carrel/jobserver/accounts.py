"""How django-allauth makes and greets accounts here."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by staff, on the command line or by another provider; nobody signs up alone."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        """Take the name over as one field."""
        user = super().save_user(request, user, form, commit=False)
        user.fullname = user.fullname or user.username
        if commit:
            user.save()
        return user
