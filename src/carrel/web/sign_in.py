"""How people sign in to the job server: django-allauth's settings, and the providers that the environment names."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from carrel.units.settings import EnvironmentSettings, SettingsError, read_settings

PASSWORD_LINK_SECONDS = 86400
"""A link with which somebody chooses a password holds so long, and once."""
REAUTHENTICATION_SECONDS = 600


class SignInSettings(EnvironmentSettings):
    """Providers of identities. Each is optional; without any, people have a username and a password here."""

    oidc_issuer: str = ""
    """Address of the OpenID Connect provider; its configuration is at `/.well-known/openid-configuration` below it."""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_client_secret_file: Path | None = None
    """A file that holds the secret, instead of OIDC_CLIENT_SECRET."""
    oidc_name: str = "single sign-on"
    """What the button calls it: "Sign in with ..."."""
    github_client_id: str = ""
    """Of an OAuth app at GitHub."""
    github_client_secret: SecretStr = SecretStr("")
    github_client_secret_file: Path | None = None
    """A file that holds the secret, instead of GITHUB_CLIENT_SECRET."""


def sign_in_settings(*, is_local: bool) -> dict[str, Any]:
    """Return Django's settings by name. `is_local`: browsers take passkeys from this address without https.

    Raises SettingsError for half a provider, or a secret's file that cannot be read.
    """
    own = read_settings(SignInSettings)
    return {
        "LOGIN_URL": "account_login",
        "LOGIN_REDIRECT_URL": "home",
        "PASSWORD_RESET_TIMEOUT": PASSWORD_LINK_SECONDS,
        "ACCOUNT_ADAPTER": "carrel.jobserver.accounts.AccountAdapter",
        "ACCOUNT_FORMS": {"login": "carrel.jobserver.sign_in_forms.SignInForm"},
        "ACCOUNT_LOGIN_METHODS": {"username", "email"},
        "ACCOUNT_SIGNUP_FIELDS": ["username*", "email", "password1*", "password2*"],
        # Addresses are confirmed by `service.accounts`, not by the library: an account may have none.
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS": False,
        "ACCOUNT_EMAIL_SUBJECT_PREFIX": "",
        "ACCOUNT_USER_MODEL_USERNAME_FIELD": "username",
        "ACCOUNT_USER_DISPLAY": "carrel.jobserver.accounts.display_name",
        "ACCOUNT_SESSION_REMEMBER": True,
        "ACCOUNT_LOGOUT_REDIRECT_URL": "home",
        "ACCOUNT_REAUTHENTICATION_REQUIRED": True,
        "ACCOUNT_REAUTHENTICATION_TIMEOUT": REAUTHENTICATION_SECONDS,
        "ACCOUNT_REAUTHENTICATION_METHODS": ("password", "mfa"),
        "SOCIALACCOUNT_ADAPTER": "carrel.jobserver.accounts.ProviderAdapter",
        "SOCIALACCOUNT_PROVIDERS": _providers(own),
        # GitHub tells addresses, and which of them are verified, only when asked.
        "SOCIALACCOUNT_QUERY_EMAIL": True,
        "SOCIALACCOUNT_REQUESTS_TIMEOUT": 10,
        "MFA_ADAPTER": "carrel.jobserver.accounts.SecondFactorAdapter",
        "MFA_SUPPORTED_TYPES": ["totp", "webauthn", "recovery_codes"],
        "MFA_PASSKEY_LOGIN_ENABLED": True,
        "MFA_ALLOW_UNVERIFIED_EMAIL": True,
        "MFA_TOTP_TOLERANCE": 1,
        "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN": is_local,
    }


def _providers(own: SignInSettings) -> dict[str, Any]:
    providers: dict[str, Any] = {}
    if own.oidc_issuer or own.oidc_client_id:
        secret = _secret("OIDC", own.oidc_client_id, own.oidc_client_secret, own.oidc_client_secret_file)
        if not own.oidc_issuer:
            raise SettingsError("OIDC_CLIENT_ID is set and OIDC_ISSUER is not: set both, or neither.")
        app = {
            "provider_id": "oidc",
            "name": own.oidc_name,
            "client_id": own.oidc_client_id,
            "secret": secret,
            "settings": {"server_url": own.oidc_issuer.rstrip("/")},
        }
        providers["openid_connect"] = {"APPS": [app], "OAUTH_PKCE_ENABLED": True}
    if own.github_client_id:
        secret = _secret("GITHUB", own.github_client_id, own.github_client_secret, own.github_client_secret_file)
        app = {"name": "GitHub", "client_id": own.github_client_id, "secret": secret}
        providers["github"] = {"APPS": [app], "SCOPE": ["read:user", "user:email"]}
    return providers


def _secret(name: str, client_id: str, secret: SecretStr, file: Path | None) -> str:
    try:
        value = file.read_text().strip() if file else secret.get_secret_value()
    except OSError as error:
        raise SettingsError(f"{name}_CLIENT_SECRET_FILE cannot be read: {error.strerror}.") from error
    if not (client_id and value):
        raise SettingsError(f"Set {name}_CLIENT_ID and {name}_CLIENT_SECRET (or {name}_CLIENT_SECRET_FILE).")
    return value
