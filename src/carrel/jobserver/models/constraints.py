"""Constraints that several tables share."""

from django.db import models
from django.db.models import Q


def both_or_neither(table: str, *fields: str) -> models.CheckConstraint:
    """All of these nullable fields are set, or none is: a time never stands without who it was, nor the reverse."""
    all_set = Q(**{f"{field}__isnull": False for field in fields})
    none_set = Q(**{f"{field}__isnull": True for field in fields})
    return models.CheckConstraint(condition=all_set | none_set, name=f"{table}_{fields[0]}_both_or_neither")
