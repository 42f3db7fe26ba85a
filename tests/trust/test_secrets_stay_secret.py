"""No secret is found where it does not belong (trust 1), and the search would find it (trust 2).

A whole site with PostgreSQL, a broker, a scheduler and a worker that logs at DEBUG watches three
hosts over real SSH: one by password, one by a key with a passphrase and a sudo password, one
whose password is wrong. Everything it wrote or showed is then searched.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives import serialization

from tests.hostile_ssh import ScriptedServer, Session, answer
from tests.probes.test_commands import FAKE_SUDO
from tests.servers import _die_with_parent
from tests.site import ROOT, Site, running_site
from tests.sshd import Sshd, make_key, toolbox
from tests.trust import places, scanner
from tests.waiting import wait_until
from tests.web_answers import Asked, WebServer, web_server

NETSTAT = """\
cat <<'END'
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
END"""
ODD = "/+ &'\"<>é密"
"""What escaping and encoding change, so that every form of a canary differs from the raw one."""


def canary(name: str) -> str:
    return f"{name}-{secrets.token_hex(8)}{ODD}"


@dataclass
class Scenario:
    """A site that has run, its secrets, and all that it wrote or showed, by place."""

    site: Site
    canaries: dict[str, str | bytes]
    answers: dict[str, dict[str, Any]]
    places: dict[str, bytes] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    typed: bytes = b""
    logins: list[tuple[str, str, str]] = field(default_factory=list)
    received: list[Asked] = field(default_factory=list)
    """By the receiver of a channel and the CMDB."""

    def visit(self, steps: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Do the steps in a process of the site; its log is one of the places."""
        command = [sys.executable, "-m", "tests.trust.visitor"]
        env = self.site.env | {"DJANGO_SETTINGS_MODULE": "netadmin.settings"}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            input=json.dumps(steps).encode(),
            capture_output=True,
            timeout=300,
            preexec_fn=_die_with_parent(9),
        )
        assert done.returncode == 0, done.stderr.decode()
        log = self.places.get("log of the web process", b"")
        self.places["log of the web process"] = log + done.stderr
        shown: dict[str, dict[str, Any]] = json.loads(done.stdout)
        return shown


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any) -> Iterator[Scenario]:
    """The site, after it has watched its hosts and been used in every way the pages offer."""
    folder = tmp_path_factory.mktemp("secrets")
    url = postgres_server.create_database("secrets_stay_secret")
    passphrase = canary("passphrase")
    found = {
        "SSH password": canary("ssh-password"),
        "wrong SSH password": canary("wrong-ssh-password"),
        "SSH password typed for a test": canary("typed-ssh-password"),
        "SSH password of a refused form": canary("refused-ssh-password"),
        "SSH password sent as JSON": canary("json-ssh-password"),
        "sudo password": canary("sudo-password"),
        "passphrase": passphrase,
        "user's password": canary("user-password"),
        "wrong password of a user": canary("wrong-user-password"),
        "address of a channel": secrets.token_urlsafe(24),
        "signing key of a channel": canary("signing-key"),
        "token of a CMDB": "cmdb-" + secrets.token_urlsafe(24),
        "key of the key ring": secrets.token_bytes(32),
        "SECRET_KEY": secrets.token_urlsafe(50),
    }
    settings = {
        "LOG_LEVEL": "DEBUG",
        "PROBE_INTERVAL_S": "5",
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
        "SECRET_KEY": found["SECRET_KEY"],
        "FIELD_ENCRYPTION_KEYS": "s1:" + base64.b64encode(found["key of the key ring"]).decode(),  # type: ignore[arg-type]
    }
    process_lists: list[bytes] = []

    def answer_and_look(session: Session) -> None:
        process_lists.append(places.process_list())
        answer(session)

    scripts = {"netstat": NETSTAT, "sudo": FAKE_SUDO}
    path = toolbox(folder / "bin", **scripts)
    with (
        running_site(url, folder, **settings) as site,  # type: ignore[arg-type]
        ScriptedServer(answer_and_look, password=str(found["SSH password"])) as by_password,
        Sshd(folder / "sshd", environment={"PATH": str(path)}) as by_key,
        places.watched(site.redis) as watch,
        web_server() as elsewhere,
    ):
        (by_key.home / "password").write_text(str(found["sudo password"]))
        key = make_key(folder / "watcher", passphrase=passphrase)
        by_key.authorize(folder / "watcher.pub")
        found["private key"] = _seed(key, passphrase)
        found["private key as entered"] = "".join(key.split("\n")[6:-2])[-100:]
        made = Scenario(site, found, {})
        _use(made, by_password=by_password, by_key=by_key, key=key, elsewhere=elsewhere)
        made.places["broker while it ran"] = b"\n".join(watch.seen)
        made.places["broker"] = places.broker(site.redis)
        made.places["logs of worker and scheduler"] = site.logs().encode(errors="replace")
        made.places["process list"] = b"\n".join(process_lists)
        made.places["process list of the host"] = (by_key.home / "process-list").read_bytes()
        made.places["what ran on the hosts"] = (
            b"\n".join(by_password.commands) + (by_key.home / "sudo-calls").read_bytes()
        )
        made.places["log of sshd"] = by_key.log.read_bytes()
        made.places |= places.database(url)
        for step, shown in made.answers.items():
            made.places[f"answer to {step}"] = (
                json.dumps(shown).encode() + b"\n" + (shown["body"].encode())
            )
        made.typed = (by_key.home / "typed").read_bytes()
        made.logins = by_password.logins
        made.received = list(elsewhere.asked)
        yield made


def _use(
    made: Scenario,
    *,
    by_password: ScriptedServer,
    by_key: Sshd,
    key: str,
    elsewhere: WebServer,
) -> None:
    """Everything an administrator does, from the first credential to the last page."""
    site, found = made.site, made.canaries
    site.manage("collectstatic", "--noinput", "--verbosity", "0")
    site.manage("migrate", "--verbosity", "0")

    def credential(name: str, **fields: object) -> dict[str, object]:
        plain = {"name": name, "user": "ops", "method": "password", "sudo": "none"}
        return {"do": "post", "route": "credential_add", "data": plain | fields}

    def host(name: str, port: int, **fields: object) -> dict[str, object]:
        plain = {"name": name, "address": "127.0.0.1", "port": port, "platform": "auto"}
        return plain | {"credential_from": "stored", "enabled": "on"} | fields

    password, login = found["SSH password"], found["user's password"]
    made.answers |= made.visit(
        [
            credential("by password", password=password),
            credential("wrong", password=found["wrong SSH password"]),
            credential(
                "by key",
                user=by_key.user,
                method="key",
                private_key=key,
                passphrase=found["passphrase"],
                sudo="password",
                sudo_password=found["sudo password"],
            ),
            credential("bad name\x00", password=found["SSH password of a refused form"]),
            credential("", password=found["SSH password of a refused form"]),
        ]
    )
    ids = dict(site.rows("SELECT name, id FROM hosts_credential"))
    assert set(ids) == {"by password", "wrong", "by key"}, made.answers
    made.answers |= made.visit(
        [
            {"do": "post", "route": "host_add", "data": data}
            for data in (
                host("one", by_password.port, credential=ids["by password"]),
                host("two", by_key.port, credential=ids["by key"]),
                host("three", by_password.port, credential=ids["wrong"]),
                host("bad port", 0, credential=ids["by password"]),
            )
        ]
    )
    hosts = dict(site.rows("SELECT name, id FROM hosts_host"))
    assert set(hosts) == {"one", "two", "three"}, made.answers
    typed = {
        "credential_from": "new",
        "new_user": "ops",
        "new_method": "password",
        "new_sudo": "none",
        "new_password": found["SSH password typed for a test"],
    }
    user = {
        "username": "vera",
        "password1": login,
        "password2": login,
        "usable_password": "true",
        "access-TOTAL_FORMS": "1",
        "access-INITIAL_FORMS": "0",
        "access-0-role": "10",
        "access-0-all_hosts": "on",
    }
    first = made.visit(
        [
            {
                "do": "post",
                "route": "connection_test",
                "data": host("one", by_password.port, **typed),
            },
            {"do": "post", "route": "admin:auth_user_add", "data": user},
            *(
                {
                    "do": "post",
                    "route": "login",
                    "stranger": True,
                    "data": {"username": "vera", "password": word},
                }
                for word in (login, found["wrong password of a user"])
            ),
            {
                "do": "post",
                "route": "token_add",
                "data": {"name": "t", "scope": "admin", "days": "7"},
            },
        ]
    )
    (shown_once,) = [step for step in first if step.endswith("/tokens/add/")]
    token = re.search(r"nad_\w{8}_[\w-]{43}", first.pop(shown_once)["body"])
    assert token is not None
    found["API token"] = token[0].split("_", 2)[2]
    made.answers |= first
    # The keys that the hosts show are met by a first probe and then approved.
    site.worker("w")
    site.beat("b")
    keys = wait_until(
        lambda: len(rows := site.rows("SELECT id FROM hosts_hostkey")) >= 2 and rows,
        timeout_s=180,
        what="host keys are met",
    )
    new = {"password": found["SSH password sent as JSON"], "user": "ops", "method": "password"}
    made.answers |= made.visit(
        [
            *(
                {
                    "do": "post",
                    "route": "host_key_decide",
                    "args": [pk],
                    "data": {"trust": "trusted"},
                }
                for (pk,) in keys
            ),
            *(
                {"do": "post", "route": "probe_now", "args": [pk], "data": {}}
                for pk in hosts.values()
            ),
            *(
                {"do": "post", "path": "/api/v1/hosts/", "token": token[0], "json": body}
                for body in (
                    {"name": "four", "address": "127.0.0.1", "new_credential": new},
                    {"name": "", "address": "127.0.0.1", "new_credential": new},
                )
            ),
        ]
    )
    site.manage("probe", "one")

    def outcomes() -> dict[str, str]:
        return dict(
            site.rows(
                "SELECT h.name, CASE WHEN s.outcome = 'ok' THEN 'ok' ELSE s.code END"
                " FROM probes_schedule p JOIN hosts_host h ON h.id = p.host_id"
                " JOIN probes_snapshot s ON s.id = p.latest_id"
            )
        )

    wait_until(
        lambda: {"one": "ok", "two": "ok", "three": "login_failed"}.items() <= outcomes().items(),
        timeout_s=180,
        what=f"hosts are probed: {outcomes()}",
    )
    made.outcomes = outcomes()
    live = (
        "connections/query?host=one",
        "ports/check?port=22&host=two",
        "ports/check?port=22&host=three",
    )
    made.answers |= made.visit(
        [{"do": "get", "path": f"/api/v1/{path}", "token": token[0]} for path in live]
    )
    questions: tuple[tuple[str, dict[str, Any]], ...] = (
        ("query_network_connections", {"host": "one"}),
        ("check_port_occupation", {"host": "three", "port": 22}),
        ("connections_at", {"host": "two"}),
        ("explain_port", {"host": "one", "port": 22}),
        ("open_alerts", {}),
        ("probe_now", {"host": "two"}),
    )
    made.answers |= made.visit(
        [
            {"do": "ask", "tool": tool, "arguments": arguments, "token": token[0]}
            for tool, arguments in questions
        ]
    )
    _send_out(made, token[0], elsewhere)
    made.answers |= made.visit([{"do": "visit", "token": token[0]}])


def _send_out(made: Scenario, token: str, elsewhere: WebServer) -> None:
    """A channel that is tested and a CMDB that is asked, with what opens them."""
    found = made.canaries
    hook = f"/hook/{found['address of a channel']}"
    elsewhere.say(hook, b"ok")
    elsewhere.say("/hosts.json", b"[]")
    channel = {"name": "hook", "kind": "webhook", "address": elsewhere.url(hook)}
    source = {"name": "assets", "kind": "json", "location": elsewhere.url("/hosts.json")}
    group = {"do": "post", "route": "admin:hosts_hostgroup_add", "data": {"name": "assets"}}

    def posted(path: str, body: dict[str, Any] | str) -> dict[str, Any]:
        return {"do": "post", "path": f"/api/v1/{path}", "token": token, "json": body}

    made.answers |= made.visit(
        [
            group,
            posted("channels", channel | {"signing_key": found["signing key of a channel"]}),
            posted("cmdb/sources", source | {"group": "assets", "token": found["token of a CMDB"]}),
        ]
    )
    ((channel_id,),) = made.site.rows("SELECT id FROM probes_channel")
    ((source_id,),) = made.site.rows("SELECT id FROM hosts_source")
    made.answers |= made.visit(
        [
            posted(f"channels/{channel_id}/test", ""),
            posted(f"cmdb/sources/{source_id}/sync", {}),
        ]
    )


def _seed(key: str, passphrase: str) -> bytes:
    """The 32 secret bytes of an Ed25519 key."""
    private = serialization.load_ssh_private_key(key.encode(), passphrase.encode())
    return private.private_bytes(
        serialization.Encoding.Raw,
        serialization.PrivateFormat.Raw,
        serialization.NoEncryption(),
    )


def test_the_scenario_used_every_secret(scenario: Scenario) -> None:
    """Else the search would find nothing because there was nothing to find."""
    given = {password for _method, _user, password in scenario.logins}
    assert scenario.canaries["SSH password"] in given
    assert scenario.canaries["wrong SSH password"] in given
    assert str(scenario.canaries["sudo password"]).encode() in scenario.typed
    hooked, asked = scenario.received
    assert hooked.path == f"/hook/{scenario.canaries['address of a channel']}"
    assert scenario.canaries["token of a CMDB"] in asked.headers["authorization"]
    statuses = {step: shown["status"] for step, shown in scenario.answers.items()}
    errors = {step: status for step, status in statuses.items() if status >= 500}
    assert set(errors.values()) <= {503}, errors
    assert sum(status == 200 for status in statuses.values()) > 50
    assert b"probe_batch" in scenario.places["broker while it ran"]
    assert len(scenario.places["logs of worker and scheduler"]) > 1000


def test_no_secret_is_anywhere(scenario: Scenario) -> None:
    found = scanner.scan(scenario.places, scenario.canaries)
    assert not found, scanner.lines(found)


FORMS: list[Callable[[str], bytes]] = [
    lambda text: text.encode(),
    lambda text: text.encode().hex().encode(),
    lambda text: base64.b64encode(b"x" + text.encode()),
    lambda text: base64.b64encode(json.dumps({"args": [text]}).encode()),
    lambda text: json.dumps({"x": text}).encode(),
    lambda text: repr({"x": text}).encode(),
    lambda text: b"\n".join(re.findall(rb".{1,20}", base64.b64encode(text.encode()))),
    lambda text: quote(text).encode(),
    lambda text: urlencode({"x": text}).encode(),
    lambda text: html.escape(text).encode(),
]


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_the_scanner_finds_a_canary_in_every_form(number: int) -> None:
    text = canary("planted")
    place = b"before " + FORMS[number](text) + b" after"
    assert scanner.scan({"here": place}, {"it": text})
    assert not scanner.scan({"here": place}, {"another": canary("planted")})


def test_the_scanner_finds_what_base64_holds_at_any_offset() -> None:
    text = canary("planted")
    for before in range(6):
        for after in range(6):
            place = base64.b64encode(b"a" * before + text.encode() + b"b" * after)
            assert scanner.scan({"here": place}, {"it": text}), (before, after)


def test_the_scanner_finds_a_private_key_in_its_file(tmp_path: Path) -> None:
    key = make_key(tmp_path / "plain")
    private = serialization.load_ssh_private_key(key.encode(), None)
    seed = private.private_bytes(
        serialization.Encoding.Raw,
        serialization.PrivateFormat.Raw,
        serialization.NoEncryption(),
    )
    assert scanner.scan({"file": key.encode()}, {"key": seed})
    assert scanner.scan({"file": json.dumps({"key": key}).encode()}, {"key": seed})
    assert not scanner.scan({"file": (tmp_path / "plain.pub").read_bytes()}, {"key": seed})


PLANT_IN_DATABASE = """
from django.utils import timezone
import base64, zstandard
from hosts.models import Host
from probes.models import RawOutput, Snapshot
text = {text!r}
host = Host.objects.create(name=text, address="192.0.2.9", enabled=False)
snapshot = Snapshot.objects.create(host=host, taken_at=timezone.now(), outcome="failed")
packed = zstandard.ZstdCompressor().compress(b"x" * 999 + {packed!r}.encode())
RawOutput.objects.create(snapshot=snapshot, stdout_zstd=packed, size_bytes=1)
"""
PLANT_IN_LOG = """
import logging
logging.getLogger("probes").debug("connecting with %r", {text!r})
"""
PLANT_IN_BROKER = """
from probes.tasks import probe_batch
probe_batch.apply_async(args=[[], {text!r}, "live"], countdown=3600)
"""


def test_a_canary_planted_in_each_place_is_found(scenario: Scenario) -> None:
    """Through the same collectors that the search above uses."""
    site = scenario.site
    planted = {place: canary("planted") for place in ("row", "packed", "log", "task", "process")}
    site.python(PLANT_IN_DATABASE.format(text=planted["row"], packed=planted["packed"]))
    found = places.database(site.database_url)
    assert scanner.scan({"dump": found["database dump"]}, {"it": planted["row"]})
    assert scanner.scan({"packed": found["packed columns"]}, {"it": planted["packed"]})

    log = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django; django.setup()\n" + PLANT_IN_LOG.format(text=planted["log"]),
        ],
        cwd=ROOT,
        env=site.env | {"DJANGO_SETTINGS_MODULE": "netadmin.settings"},
        capture_output=True,
        check=True,
        timeout=60,
    ).stderr
    assert scanner.scan({"log": log}, {"it": planted["log"]})

    site.stop()
    with places.watched(site.redis) as watch:
        site.python(PLANT_IN_BROKER.format(text=planted["task"]))
    assert scanner.scan({"sent": b"\n".join(watch.seen)}, {"it": planted["task"]})
    assert scanner.scan({"kept": places.broker(site.redis)}, {"it": planted["task"]})

    sleeping = [sys.executable, "-c", "import time; time.sleep(60)", planted["process"]]
    with subprocess.Popen(sleeping, preexec_fn=_die_with_parent(9)) as process:
        try:
            wait_until(
                lambda: scanner.scan({"ps": places.process_list()}, {"it": planted["process"]}),
                what="the planted process is found",
            )
        finally:
            process.kill()

    shown = scenario.visit([{"do": "visit"}])
    pages = {step: answer["body"].encode() for step, answer in shown.items()}
    hits = {finding.place for finding in scanner.scan(pages, {"it": planted["row"]})}
    assert any(" GET /api/v1/hosts/" in place for place in hits)
    assert any(place.endswith(" GET /") for place in hits)
    assert any("/admin/hosts/host/" in place for place in hits)
