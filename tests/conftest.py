"""What every test may ask for: databases, servers, a browser, a way to wait.

The suite never reads the operator's settings: the environment is set here, before Django loads,
and everything written goes into one temporary folder that the run removes. Each xdist worker has
its own part of that folder, its own databases and, where a test asks for them, its own servers.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
if _WORKER == "main":
    os.environ["NETADMIN_TEST_RUN_DIR"] = tempfile.mkdtemp(prefix="netadmin-test-")
RUN_DIR = Path(os.environ["NETADMIN_TEST_RUN_DIR"])
WORKER_DIR = RUN_DIR / _WORKER
WORKER_DIR.mkdir(exist_ok=True)

for _name in [name for name in os.environ if name.endswith("_FILE")]:
    del os.environ[_name]
# Here and not in pyproject.toml: pytest-django would load the settings before this file is read.
os.environ["DJANGO_SETTINGS_MODULE"] = "netadmin.settings"
os.environ.update(
    {
        "SECRET_KEY": "only-for-tests-" + "k" * 50,
        "FIELD_ENCRYPTION_KEYS": "t1:" + base64.b64encode(b"only-for-tests--" * 2).decode(),
        "DEBUG": "off",
        "SITE_URL": "http://localhost:8000",
        "ALLOWED_HOSTS": "testserver",
        "TRUSTED_PROXIES": "0",
        "DATA_DIR": str(WORKER_DIR / "data"),
        # Empty, not absent: an operator's .env in the checkout must not fill them in.
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "memory://",
        "EMAIL_URL": "memorymail://",
        "TIME_ZONE": "UTC",
        "LANGUAGE_CODE": "en",
        "LOG_LEVEL": "INFO",
        # A suite calls more often than anybody may; the tests of the limits set them.
        "API_PER_MINUTE": "0",
        "LIVE_PER_MINUTE": "0",
        # A stream outlives the test that opened its page; the tests of streams set it.
        "EVENT_STREAMS": "0",
    }
)
(WORKER_DIR / "data").mkdir(mode=0o700, exist_ok=True)
(WORKER_DIR / "data" / "static").mkdir(exist_ok=True)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.servers import PostgreSQL, Redis

CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # A page that loads anything from another site fails its test instead of reaching for it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the second database, which is started when the first test asks for it."""
    import django
    import hypothesis
    from django.conf import settings
    from django.db import connections

    # Its usual limits are times: 200 ms for an example, which a loaded machine breaks at will.
    hypothesis.settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("unhurried")
    django.setup()
    # The site's storage names files by their hash and needs collectstatic first; a test of the
    # static files runs that.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    # Slow on purpose elsewhere; processes that a test starts keep the site's own.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.DATABASES["postgres"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "netadmin",
        "OPTIONS": {"connect_timeout": 5},
        # Django would have it wait for "default", which a run of few tests may not need.
        "TEST": {"DEPENDENCIES": []},
    }
    connections.settings = connections.configure_settings(settings.DATABASES)
    _keep_what_migrations_write()
    from tests import api_shapes

    api_shapes.install()


def _keep_what_migrations_write() -> None:
    """A test that commits empties every table behind it, also of rules that a site begins with."""
    from importlib import import_module

    from django.apps import apps
    from django.db.models.signals import post_migrate

    defaults = import_module("probes.migrations.0008_watching_defaults")

    def refill(using: str, **kwargs: Any) -> None:
        if "plan" not in kwargs:  # a flush, and no migration
            defaults.rules_and_policy(apps, using)

    post_migrate.connect(refill, sender=apps.get_app_config("probes"), weak=False)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the controller starts workers: they must read this file before the settings, and
    would not with the name of the settings in the environment they inherit."""
    if session.config.pluginmanager.hasplugin("dsession"):
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No silent skip: a test that did not run fails the run."""
    if _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say why a run with only passed and skipped tests failed."""
    skipped = _skipped(config)
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped: a test that does not run fails.")


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return list(reporter.stats.get("skipped", [])) if reporter is not None else []


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's folder, after every worker has ended."""
    if _WORKER == "main":
        shutil.rmtree(RUN_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgreSQL]:
    """A running PostgreSQL, one per worker process. To stop one in a test, start your own."""
    from tests.servers import PostgreSQL

    with PostgreSQL(WORKER_DIR / "postgresql") as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_databases() -> list[str]:
    return []


@pytest.fixture
def postgres_url(postgres_server: PostgreSQL, _postgres_databases: list[str]) -> str:
    """DATABASE_URL of an empty database of the test's own."""
    name = f"own_{len(_postgres_databases) + 1}"
    _postgres_databases.append(name)
    return postgres_server.create_database(name)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Test databases: a file for SQLite, so that threads and processes meet the real locking,
    and PostgreSQL where any collected test names that alias."""
    from django.db import connections

    connections.settings["default"]["TEST"]["NAME"] = str(WORKER_DIR / "test.sqlite3")
    if any(_wants_postgres(item) for item in request.session.items):
        server: PostgreSQL = request.getfixturevalue("postgres_server")
        connections.settings["postgres"].update(server.settings)


def _wants_postgres(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    databases = marker.kwargs.get("databases") if marker else None
    return databases is not None and (databases == "__all__" or "postgres" in databases)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis-protocol server, one per worker. To kill one in a test, start your own."""
    from tests.servers import Redis

    with Redis(WORKER_DIR / "redis") as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """REDIS_URL of that server, emptied."""
    client = redis_server.client()
    client.flushall()
    client.close()
    return redis_server.url


@pytest.fixture(autouse=True)
def _no_language_is_left() -> Iterator[None]:
    """A request in Chinese leaves its language in this thread; the next test begins in English."""
    yield
    from django.utils import timezone, translation

    translation.deactivate()
    timezone.deactivate()


@pytest.fixture(autouse=True)
def _every_answer_fits_its_shape() -> Iterator[None]:
    """Each JSON answer of the API is held against what its route declares; see tests/api_shapes."""
    from tests import api_shapes

    api_shapes.PROBLEMS.clear()
    yield
    problems = list(api_shapes.PROBLEMS)
    api_shapes.PROBLEMS.clear()
    assert not problems, problems


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing uses at this moment."""
    from tests import servers

    return servers.free_port()


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """``wait_until(condition, timeout_s=60, what="")``: see tests/waiting.py."""
    from tests.waiting import wait_until

    return wait_until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the machine.

    One for each module and not for the session: while Playwright runs, the main thread counts as
    running an event loop, which tests of other modules must not meet.
    """
    from playwright.sync_api import expect, sync_playwright

    from tests.servers import find_program
    from tests.waiting import PATIENCE_S

    expect.set_options(timeout=PATIENCE_S * 1000)
    program = find_program("chromium", "/usr/bin/google-chrome*", package="chromium")
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
            yield launched
            launched.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page at 1280 by 800 with no cookies."""
    from tests.waiting import PATIENCE_S

    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    context.set_default_timeout(PATIENCE_S * 1000)
    opened = context.new_page()
    yield opened
    context.close()
