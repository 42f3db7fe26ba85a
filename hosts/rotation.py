"""Re-encrypts stored secrets under the newest key, and tells which keys are still needed.

Place in the data's way: beside it; run by ``manage.py rotate_keys`` and, for a sample, at every
start. Safe to stop and start again anywhere, and beside running probes and edits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Substr

from hosts import secrets
from hosts.models import Credential
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


def rotate() -> Report:
    """Seal every secret under the newest key, a batch per transaction."""
    report = Report()
    last = 0
    while True:
        batch = list(_outdated().filter(pk__gt=last).order_by("pk")[:BATCH])
        if not batch:
            return report
        with transaction.atomic():
            for credential in batch:
                _rotate_row(credential, report)
        last = batch[-1].pk


def usage() -> Counter[str]:
    """How many secrets each key id seals."""
    return Counter(secrets.key_id_of(prefix) for _pk, _field, prefix in _prefixes())


def unreadable() -> list[str]:
    """One message for each key id none of whose first secrets opens: that key is missing or
    wrong. A single altered secret among good ones is no such case. Empty without a database."""
    try:
        samples: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for pk, name, prefix in _prefixes():
            sample = samples[secrets.key_id_of(prefix)]
            if len(sample) < SAMPLE:
                sample.append((pk, name))
        problems = [_problem(sample) for sample in samples.values()]
    except DatabaseError:
        return []
    return [problem for problem in problems if problem]


def forget_unreadable() -> list[str]:
    """Clear the secrets that do not open, after their key was lost; returns their names."""
    forgotten = []
    with transaction.atomic():
        for credential in Credential.objects.select_for_update().order_by("pk"):
            fields = []
            for name in Credential.SECRET_FIELDS:
                try:
                    credential.secret(name)
                except secrets.DecryptionError:
                    credential.set_secret(name, None)
                    fields.append(name)
            if fields:
                credential.version += 1
                credential.save()
                audit.record(
                    "credential.change",
                    target=credential,
                    detail={name: ["***", "forgotten: it did not open"] for name in fields},
                )
                forgotten += [f"{credential.name}, {name.replace('_', ' ')}" for name in fields]
    return forgotten


def _problem(sample: list[tuple[int, str]]) -> str:
    """Why none of a key's secrets opens; empty where one does."""
    problem = ""
    for pk, name in sample:
        credential = Credential.objects.filter(pk=pk).first()
        if credential is None:
            continue
        try:
            credential.secret(name)
        except secrets.DecryptionError as error:
            problem = problem or (
                f"The {name.replace('_', ' ')} of the credential {credential.name!r} cannot be "
                f"decrypted: {error} Restore the key that sealed it, or clear what is lost with "
                "`manage.py rotate_keys --forget-unreadable`."
            )
        else:
            return ""
    return problem


def _outdated() -> QuerySet[Credential]:
    newest = f"{secrets.VERSION}:{secrets.newest_key_id()}:"
    stale = Q()
    for name in Credential.SECRET_FIELDS:
        column = f"{name}_encrypted"
        stale |= ~Q(**{column: ""}) & ~Q(**{f"{column}__startswith": newest})
    return Credential.objects.filter(stale)


def _rotate_row(credential: Credential, report: Report) -> None:
    newest = secrets.newest_key_id()
    for name in Credential.SECRET_FIELDS:
        column = f"{name}_encrypted"
        old = getattr(credential, column)
        if not old or secrets.key_id_of(old) == newest:
            continue
        try:
            credential.set_secret(name, credential.secret(name))
        except secrets.DecryptionError as error:
            report.failed.append(f"{credential.name}, {name.replace('_', ' ')}: {error}")
            continue
        # Only where it is still what was read, and no other column: an edit made meanwhile stays,
        # and the login's version too, since the login is the same.
        written = Credential.objects.filter(pk=credential.pk, **{column: old}).update(
            **{column: getattr(credential, column)}
        )
        report.changed += written
        report.skipped += 1 - written


def _prefixes() -> Iterator[tuple[int, str, str]]:
    """(id of the credential, secret field, beginning of the ciphertext) of all secrets."""
    starts = {
        f"start_{name}": Substr(f"{name}_encrypted", 1, _PREFIX_CHARS)
        for name in Credential.SECRET_FIELDS
    }
    rows = Credential.objects.order_by("pk").annotate(**starts).values_list("pk", *starts)
    for pk, *prefixes in rows.iterator(chunk_size=1000):
        for name, prefix in zip(Credential.SECRET_FIELDS, prefixes, strict=True):
            if prefix:
                yield pk, name, prefix
