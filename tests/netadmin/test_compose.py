"""docker-compose.yml and Dockerfile, read against the settings they must feed."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from netadmin import supervisor
from netadmin.env import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "scheduler")
KNOWN = {variable.name: variable for variable in VARIABLES}


def test_the_services_of_a_team_are_there() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_every_required_one_is_fed(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert set(environment) <= set(KNOWN)
    required = {variable.name for variable in VARIABLES if variable.required}
    assert required | {"DATABASE_URL", "REDIS_URL", "SITE_URL"} <= set(environment)


@pytest.mark.parametrize("name", OURS)
def test_what_the_operator_leaves_out_gets_the_default_of_the_settings(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        found = re.fullmatch(r"\$\{([A-Z0-9_]+):-(.*)\}", value)
        if found is None:
            continue
        assert found[1] == variable
        default = KNOWN[variable].default
        assert found[2] == ("" if default in ([], "") else str(default)), variable


def test_a_missing_secret_stops_compose_and_none_is_written_down() -> None:
    environment = SERVICES["web"]["environment"]
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        assert environment[name].startswith(f"${{{name}:?")
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert password.startswith("${POSTGRES_PASSWORD:?")
    assert password in environment["DATABASE_URL"]


def test_the_addresses_name_services_of_the_file() -> None:
    environment = SERVICES["web"]["environment"]
    assert re.search(r"@(\w+):5432/(\w+)$", environment["DATABASE_URL"])
    host, database = re.search(r"@(\w+):5432/(\w+)$", environment["DATABASE_URL"]).groups()  # type: ignore[union-attr]
    assert host in SERVICES
    assert database == SERVICES[host]["environment"]["POSTGRES_DB"]
    assert environment["DATABASE_URL"].startswith(
        f"postgres://{SERVICES[host]['environment']['POSTGRES_USER']}:"
    )
    assert re.fullmatch(r"redis://redis:6379/\d", environment["REDIS_URL"])


def test_everything_waits_for_what_it_needs() -> None:
    for name in ("web", "worker", "scheduler"):
        needs = SERVICES[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["redis"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[needed].get("healthcheck", {}) or needed == "web"
            assert needed in SERVICES, name


def test_the_worker_and_scheduler_are_started_as_up_starts_them() -> None:
    assert SERVICES["worker"]["command"][3:] == ["worker", *supervisor.WORKER_OPTIONS]
    assert SERVICES["worker"]["command"][:3] == ["celery", "-A", supervisor.APP]
    assert SERVICES["scheduler"]["command"][3:] == ["beat", *supervisor.BEAT_OPTIONS]


def test_data_lives_in_named_volumes_and_only_the_web_is_reachable() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
    assert SERVICES["postgres"]["volumes"]


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images.append(re.search(r"^FROM (\S+)$", DOCKERFILE, flags=re.MULTILINE)[1])  # type: ignore[index]
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?-", image), image


def test_the_image_is_not_run_by_root_and_has_a_health_check() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, flags=re.MULTILINE)
    users = [value for name, value in instructions if name == "USER"]
    assert users == ["netadmin"]
    assert "HEALTHCHECK" in dict(instructions)
    order = [name for name, _ in instructions]
    assert order.index("USER") < order.index("CMD")


def test_no_secret_is_in_the_image() -> None:
    for name, value in re.findall(r"^(ENV|ARG) ((?:.*\\\n)*.*)$", DOCKERFILE, flags=re.MULTILINE):
        for secret in (variable.name for variable in VARIABLES if variable.secret):
            assert secret not in value, name
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert allowed == {
        "manage.py",
        "requirements.txt",
        "netadmin",
        "hosts",
        "probes",
        "templates",
    }


def test_the_image_serves_as_a_site_of_one_machine_does() -> None:
    served = re.search(r"^CMD ((?:.*\\\n)*.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert served is not None
    words = json.loads(served[1].replace("\\\n", ""))
    for name, value in itertools.pairwise(supervisor.WEB_OPTIONS):
        if name in ("--worker-class", "--forwarder-headers", "--graceful-timeout"):
            assert words[words.index(name) + 1] == value


def test_what_the_image_copies_exists() -> None:
    for source in re.findall(r"^COPY (\S+) ", DOCKERFILE, flags=re.MULTILINE):
        assert (ROOT / source).exists(), source
