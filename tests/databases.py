"""Running one test on both databases that netadmin supports.

A test marked ``@both_databases`` takes a ``using`` argument, ``"default"`` (SQLite) and then
``"postgres"``, and reaches the database by that alias alone: touching the other one fails the
test. ``@both_databases_committed`` is the same without a transaction around the test, for tests
with threads, processes or locks.
"""

from __future__ import annotations

import pytest

SQLITE = "default"
POSTGRESQL = "postgres"

both_databases = pytest.mark.parametrize(
    "using",
    [
        pytest.param(SQLITE, marks=pytest.mark.django_db(databases=[SQLITE]), id="sqlite"),
        pytest.param(
            POSTGRESQL, marks=pytest.mark.django_db(databases=[POSTGRESQL]), id="postgresql"
        ),
    ],
)

both_databases_committed = pytest.mark.parametrize(
    "using",
    [
        pytest.param(
            SQLITE,
            marks=pytest.mark.django_db(databases=[SQLITE], transaction=True),
            id="sqlite",
        ),
        pytest.param(
            POSTGRESQL,
            marks=pytest.mark.django_db(databases=[POSTGRESQL], transaction=True),
            id="postgresql",
        ),
    ],
)
