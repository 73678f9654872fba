"""Who uses the site: accounts, organisations, training and agreements, tokens of persons."""

import re
import unicodedata
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from carrel.jobserver.models.constraints import both_or_neither

NAME_LENGTH = 200
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the order of what stands beside them: no name needs any."""


class UserManager(BaseUserManager["User"]):
    """Makes accounts; the way of Django's own commands and of django-allauth."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Without a password the account can sign in only through another provider, or after choosing one."""
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser):
    """One account of one person, or of one program (`is_bot`: it has personal tokens and cannot sign in)."""

    username = models.CharField(max_length=150, unique=True)
    email = models.EmailField(max_length=254, unique=True, null=True, blank=True)
    """Lower case. None where somebody has no address: the site works without e-mail."""
    fullname = models.CharField(max_length=NAME_LENGTH)
    is_active = models.BooleanField(default=True)
    is_bot = models.BooleanField(default=False)
    digest = models.BooleanField(default=False)
    """One mail a day that tells of all runs that ended, instead of one mail a run."""
    digest_at = models.DateTimeField(null=True)
    """Up to when the mails of that kind have told."""
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    """None: the account was made on the command line, or by signing in through a provider."""

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["fullname"]

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return f"{self.fullname} ({self.username})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Names are compared in one form only: NFKC for usernames, lower case for addresses."""
        self.username = unicodedata.normalize("NFKC", self.username)
        self.email = self.email.strip().lower() or None if self.email else None
        self.fullname = UNSEEN.sub("", self.fullname).strip() or self.username
        super().save(*args, **kwargs)

    def get_full_name(self) -> str:
        """Django's name for `fullname`."""
        return self.fullname

    def get_short_name(self) -> str:
        """Django's name for `username`."""
        return self.username


class Organisation(models.Model):
    """A university, a hospital, a company: shown beside the projects it takes part in."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    slug = models.SlugField(max_length=100, unique=True)
    description = models.TextField(blank=True, default="")
    members = models.ManyToManyField(User, through="OrganisationMembership", related_name="organisations")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class OrganisationMembership(models.Model):
    """A person belongs to an organisation."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="organisation_memberships")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "user"], name="organisation_member_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organisation}"


class Requirement(models.Model):
    """A training or an agreement that persons must have before some roles take effect."""

    class RequirementKind(models.TextChoices):
        TRAINING = "training", "training"
        AGREEMENT = "agreement", "agreement"

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=NAME_LENGTH)
    kind = models.CharField(max_length=20, choices=RequirementKind)
    text = models.TextField(blank=True, default="")
    """What a person agrees to, or where the training is given."""
    valid_days = models.PositiveIntegerField(null=True, blank=True)
    """How long it holds from the day it was obtained; None: for ever."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class PersonRequirement(models.Model):
    """A person has done a training or signed an agreement. The latest row of each counts."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="requirements")
    requirement = models.ForeignKey(Requirement, on_delete=models.PROTECT, related_name="records")
    obtained_on = models.DateField()
    expires_on = models.DateField(null=True, blank=True)
    """The first day on which it no longer holds."""
    evidence = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.requirement} of {self.user}"


class PersonalToken(models.Model):
    """Lets a program act for a person, within `scopes`, until it expires. The token itself was shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    hash = models.CharField(max_length=64, unique=True)
    """SHA-256 in hexadecimal digits: tokens are long and random, so no slow hash is needed."""
    hint = models.CharField(max_length=12)
    """The token's first letters, by which its owner knows it again."""
    scopes = models.JSONField(default=list)
    with_second_factor = models.BooleanField(default=False)
    """Made in a session that was signed in with one: the token counts so at backends that ask for it."""
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [both_or_neither("personaltoken", "revoked_at", "revoked_by")]

    def __str__(self) -> str:
        return f"{self.hint}... of {self.user}"


class Level4Token(models.Model):
    """Three words with which a person signs in once inside a backend (level 4), within the hour."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="level4_tokens")
    hash = models.CharField(max_length=200)
    """By Django's password hasher: three words can be guessed from a fast hash."""
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    """Wrong tries since it was made; after a few it no longer counts."""

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"level 4 token of {self.user}"
