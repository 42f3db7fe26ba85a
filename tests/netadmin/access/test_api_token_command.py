"""``manage.py api_token``."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from netadmin.access import tokens
from netadmin.access.models import APIToken, AuditEntry
from tests.people import person


def run(*args: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("api_token", *args, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_standard_output_is_the_token_alone(operator: User) -> None:
    out, err = run("otto", "--scope", "operate", "--name", "cron", "--days", "7")

    assert out.count("\n") == 1
    row = tokens.authenticate(f"Bearer {out.strip()}", address=None)
    assert row is not None
    assert (row.user, row.scope, row.name) == (operator, "operate", "cron")
    assert row.expires_at is not None
    assert abs(row.expires_at - row.created_at - dt.timedelta(days=7)) < dt.timedelta(seconds=60)
    assert out.strip() not in err
    assert "shown only now" in err


def test_it_is_recorded_as_the_machines_act(operator: User) -> None:
    run("otto", "--scope", "read")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("system", "token.add")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody", "--scope", "read"], "no user 'nobody'"),
        (["otto", "--scope", "admin"], "cannot have the scope admin"),
        (["otto"], "--scope"),
        (["otto", "--scope", "all"], "invalid choice"),
        (["otto", "--scope", "read", "--days", "0"], "whole number"),
        (["otto", "--scope", "read", "--days", "-1"], "whole number"),
        (["otto", "--scope", "read", "--days", "２"], "whole number"),
        (["otto", "--scope", "read", "--name", "a\nb"], "printable"),
        (["otto", "--scope", "read", "--name", " "], "printable"),
    ],
)
def test_a_bad_request_makes_no_token(operator: User, args: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says.replace("(", r"\(")):
        run(*args)
    assert not APIToken.objects.exists()


def test_a_user_without_a_role_gets_none(db: None) -> None:
    person("idle")
    with pytest.raises(CommandError, match="no role"):
        run("idle", "--scope", "read")
