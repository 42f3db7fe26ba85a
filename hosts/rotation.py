"""Re-encrypts stored secrets under the newest key, and tells which keys are still needed.

Place in the data's way: beside it; run by ``manage.py rotate_keys`` and, for a sample, at every
start. Safe to stop and start again anywhere, and beside running probes and edits. Covers every
model that is :class:`~hosts.sealed.Sealed`, of whichever app, without knowing any of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Substr

from hosts import secrets
from hosts.models import Credential
from hosts.sealed import Sealed
from netadmin.access import audit

BATCH = 100
SAMPLE = 5
_PREFIX_CHARS = len(secrets.VERSION) + 2 + 32
"""Enough of a ciphertext to read the id of its key."""


@dataclass(slots=True)
class Report:
    """What one rotation did."""

    changed: int = 0
    """Secrets sealed anew."""
    skipped: int = 0
    """Secrets that somebody else changed or sealed anew meanwhile."""
    failed: list[str] = field(default_factory=list)
    """Secrets that do not open, named, each with its reason."""


def sealed_models() -> list[type[Sealed]]:
    """Every model with secrets, credentials first."""
    found = [model for model in apps.get_models() if issubclass(model, Sealed)]
    return sorted(found, key=lambda model: (model is not Credential, model._meta.label_lower))


def rotate() -> Report:
    """Seal every secret under the newest key, a batch per transaction."""
    report = Report()
    for model in sealed_models():
        last = 0
        while batch := list(_outdated(model).filter(pk__gt=last).order_by("pk")[:BATCH]):
            with transaction.atomic():
                for row in batch:
                    _rotate_row(row, report)
            last = batch[-1].pk
    return report


def usage() -> Counter[str]:
    """How many secrets each key id seals."""
    return Counter(
        secrets.key_id_of(prefix)
        for model in sealed_models()
        for _pk, _field, prefix in _prefixes(model)
    )


def unreadable() -> list[str]:
    """One message for each key id none of whose first secrets opens: that key is missing or
    wrong. A single altered secret among good ones is no such case. Empty without a database."""
    samples: dict[str, list[tuple[type[Sealed], int, str]]] = defaultdict(list)
    for model in sealed_models():
        try:
            for pk, name, prefix in _prefixes(model):
                sample = samples[secrets.key_id_of(prefix)]
                if len(sample) < SAMPLE:
                    sample.append((model, pk, name))
        except DatabaseError:
            continue  # its table is not there yet: before the first migration, or the next
    try:
        problems = [_problem(sample) for sample in samples.values()]
    except DatabaseError:
        return []
    return [problem for problem in problems if problem]


def forget_unreadable() -> list[str]:
    """Clear the secrets that do not open, after their key was lost; returns their names."""
    forgotten = []
    with transaction.atomic():
        for model in sealed_models():
            for row in model._default_manager.select_for_update().order_by("pk"):
                fields = []
                for name in model.SECRET_FIELDS:
                    try:
                        row.secret(name)
                    except secrets.DecryptionError:
                        row.set_secret(name, None)
                        fields.append(name)
                if fields:
                    if isinstance(row, Credential):
                        row.version += 1
                    row.save()
                    audit.record(
                        f"{model._meta.model_name}.change",
                        target=row,
                        detail={name: ["***", "forgotten: it did not open"] for name in fields},
                    )
                    forgotten += [_named(row, name) for name in fields]
    return forgotten


def _problem(sample: list[tuple[type[Sealed], int, str]]) -> str:
    """Why none of a key's secrets opens; empty where one does."""
    problem = ""
    for model, pk, name in sample:
        row = model._default_manager.filter(pk=pk).first()
        if row is None:
            continue
        try:
            row.secret(name)
        except secrets.DecryptionError as error:
            problem = problem or (
                f"The {name.replace('_', ' ')} of the {model._meta.model_name} {_name(row)!r} "
                f"cannot be decrypted: {error} Restore the key that sealed it, or clear what is "
                "lost with `manage.py rotate_keys --forget-unreadable`."
            )
        else:
            return ""
    return problem


def _name(row: Sealed) -> str:
    return str(getattr(row, "name", row.pk))


def _named(row: Sealed, field: str) -> str:
    """``deploy, sudo password`` of a credential, ``channel ops, address`` of others."""
    kind = "" if isinstance(row, Credential) else f"{row._meta.model_name} "
    return f"{kind}{_name(row)}, {field.replace('_', ' ')}"


def _outdated(model: type[Sealed]) -> QuerySet[Any]:
    newest = f"{secrets.VERSION}:{secrets.newest_key_id()}:"
    stale = Q()
    for name in model.SECRET_FIELDS:
        column = f"{name}_encrypted"
        stale |= ~Q(**{column: ""}) & ~Q(**{f"{column}__startswith": newest})
    return model._default_manager.filter(stale)


def _rotate_row(row: Sealed, report: Report) -> None:
    newest = secrets.newest_key_id()
    for name in row.SECRET_FIELDS:
        column = f"{name}_encrypted"
        old = getattr(row, column)
        if not old or secrets.key_id_of(old) == newest:
            continue
        try:
            row.set_secret(name, row.secret(name))
        except secrets.DecryptionError as error:
            report.failed.append(f"{_named(row, name)}: {error}")
            continue
        # Only where it is still what was read, and no other column: an edit made meanwhile stays,
        # and the login's version too, since the login is the same.
        written = (
            type(row)
            ._default_manager.filter(pk=row.pk, **{column: old})
            .update(**{column: getattr(row, column)})
        )
        report.changed += written
        report.skipped += 1 - written


def _prefixes(model: type[Sealed]) -> Iterator[tuple[int, str, str]]:
    """(id of the row, secret field, beginning of the ciphertext) of all secrets of a model."""
    starts = {
        f"start_{name}": Substr(f"{name}_encrypted", 1, _PREFIX_CHARS)
        for name in model.SECRET_FIELDS
    }
    rows = model._default_manager.order_by("pk").annotate(**starts).values_list("pk", *starts)
    for pk, *prefixes in rows.iterator(chunk_size=1000):
        for name, prefix in zip(model.SECRET_FIELDS, prefixes, strict=True):
            if prefix:
                yield pk, name, prefix
