"""Who may call what: every route of the site, with the least role for each of its methods.

This table is what was decided; the views enforce it by ``@require`` and ``@public``, and
``tests/trust/test_routes.py`` walks the resolver and calls every route with every role and method
to see that both say the same. A route that is not listed here fails that test and
``manage.py check``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver

from netadmin.access.models import Role

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""HEAD goes with GET; OPTIONS changes nothing."""

ANYBODY: Final = None
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN


@dataclass(frozen=True, slots=True)
class Route:
    """One URL pattern: its name, and the least role for each method it answers."""

    name: str
    """Name with its namespaces; for an unnamed pattern its path as ``manage.py check`` shows it."""
    roles: MappingProxyType[str, Role | None]
    about: str = ""
    """The kind of object its path names, as app.model or "own token": one that is outside the
    caller's groups, or another's, answers 404."""
    answers: int = 200
    """Status of a GET that is allowed and needs no parameter."""
    query: str = ""
    """The least query string a GET needs; ``{host}`` stands for the id of a host."""
    site_wide: bool = False
    """Refused to an administrator of some host groups only, as the Django admin is."""
    token_only: bool = False
    """Opened by a token alone: a browser's session is nobody here."""


def route(
    name: str,
    roles: dict[str, Role | None],
    *,
    about: str = "",
    answers: int = 200,
    query: str = "",
    site_wide: bool = False,
    token_only: bool = False,
) -> Route:
    """A row of the table; a method that is not named in ``roles`` is refused to everybody."""
    unknown = roles.keys() - set(METHODS)
    if unknown:
        raise ValueError(f"{name}: no such method: {unknown}")
    return Route(name, MappingProxyType(roles), about, answers, query, site_wide, token_only)


def admin_model(label: str, *, may: str = "add change delete") -> tuple[Route, ...]:
    """The routes that the Django admin makes for one model, ``app.model``.

    What it ``may`` not do answers 403, but for the page of a change, which then only shows.
    """
    app, model = label.split(".")
    name = f"admin:{app}_{model}"
    objects = f"/admin/{app}/{model}/<path:object_id>/"
    change = _admin(f"{name}_change", about=label)
    if "change" not in may:
        change = route(change.name, {"GET": ADMIN}, about=label, site_wide=True)
    return (
        _admin(f"{name}_changelist"),
        _admin(f"{name}_add", answers=200 if "add" in may else 403),
        _admin(f"{name}_history", about=label),
        _admin(f"{name}_delete", about=label, answers=200 if "delete" in may else 403),
        change,
        _admin(objects, about=label, answers=302),
    )


def _admin(name: str, *, about: str = "", answers: int = 200) -> Route:
    both: dict[str, Role | None] = {"GET": ADMIN, "POST": ADMIN}
    return route(name, both, about=about, answers=answers, site_wide=True)


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern the resolver knows: its key in the table, its path and its view."""

    name: str
    path: str
    view: Any


def walk() -> Iterator[Found]:
    """Every pattern of the site, in the resolver's order."""
    yield from _walk(get_resolver().url_patterns, path="/", namespaces=())


def _walk(patterns: Any, *, path: str, namespaces: tuple[str, ...]) -> Iterator[Found]:
    for entry in patterns:
        here = path + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = (*namespaces, entry.namespace) if entry.namespace else namespaces
            yield from _walk(entry.url_patterns, path=here, namespaces=inner)
        else:
            assert isinstance(entry, URLPattern)
            name = ":".join((*namespaces, entry.name)) if entry.name else here
            yield Found(name, here, entry.callback)


PAGES: Final = (
    route("login", {"GET": ANYBODY, "POST": ANYBODY}),
    route("logout", {"POST": ANYBODY}),
    route("language", {"POST": ANYBODY}),
    route("password_change", {"GET": VIEWER, "POST": VIEWER}),
    route("tokens", {"GET": VIEWER}),
    route("token_add", {"GET": VIEWER, "POST": VIEWER}),
    route("token_edit", {"GET": VIEWER, "POST": VIEWER}, about="own token"),
    route("token_revoke", {"POST": VIEWER}, about="own token"),
    route("audit", {"GET": ADMIN}),
)

HOSTS: Final = (
    route("host_list", {"GET": VIEWER}),
    route("host_add", {"GET": ADMIN, "POST": ADMIN}),
    route("host_import", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route("host_keys", {"GET": ADMIN}),
    route("host_key_decide", {"POST": ADMIN}, about="hosts.hostkey"),
    route("host_edit", {"GET": ADMIN, "POST": ADMIN}, about="hosts.host"),
    route("host_remove", {"GET": ADMIN, "POST": ADMIN}, about="hosts.host"),
    route("credentials", {"GET": ADMIN}, site_wide=True),
    route("credential_add", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route(
        "credential_edit", {"GET": ADMIN, "POST": ADMIN}, about="hosts.credential", site_wide=True
    ),
    route("credential_remove", {"POST": ADMIN}, about="hosts.credential", site_wide=True),
    route("sources", {"GET": ADMIN}, site_wide=True),
    route("source_add", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route("source", {"GET": ADMIN}, about="hosts.source", site_wide=True),
    route("source_edit", {"GET": ADMIN, "POST": ADMIN}, about="hosts.source", site_wide=True),
    route("source_remove", {"POST": ADMIN}, about="hosts.source", site_wide=True),
    route("source_sync", {"POST": ADMIN}, about="hosts.source", site_wide=True),
    route("sync_run", {"GET": ADMIN}, about="hosts.syncrun", site_wide=True),
    route("sync_run_decide", {"POST": ADMIN}, about="hosts.syncrun", site_wide=True),
)

PROBES: Final = (
    route("overview", {"GET": VIEWER}),
    route("search", {"GET": VIEWER}),
    route("hunt", {"GET": VIEWER, "POST": VIEWER}),
    route("hunts", {"GET": VIEWER}),
    route("hunt_add", {"GET": OPERATOR, "POST": OPERATOR}),
    route("hunt_edit", {"GET": OPERATOR, "POST": OPERATOR}, about="probes.hunt"),
    route("hunt_remove", {"POST": OPERATOR}, about="probes.hunt"),
    route("alerts", {"GET": VIEWER}),
    route("alerts_acknowledge", {"POST": OPERATOR}),
    route("alert", {"GET": VIEWER}, about="probes.alert"),
    route("alert_acknowledge", {"POST": OPERATOR}, about="probes.alert"),
    route("alert_end", {"POST": OPERATOR}, about="probes.alert"),
    route("alert_snooze", {"POST": OPERATOR}, about="probes.alert"),
    route("silences", {"GET": VIEWER}),
    route("silence_add", {"GET": OPERATOR, "POST": OPERATOR}),
    route("silence_edit", {"GET": OPERATOR, "POST": OPERATOR}, about="probes.silence"),
    route("silence_end", {"POST": OPERATOR}, about="probes.silence"),
    route("activity", {"GET": VIEWER}),
    route("rules", {"GET": VIEWER}),
    route("rule_add", {"GET": ADMIN, "POST": ADMIN}, query="metric=sockets", site_wide=True),
    route("rule_edit", {"GET": ADMIN, "POST": ADMIN}, about="probes.rule", site_wide=True),
    route("rule_remove", {"POST": ADMIN}, about="probes.rule", site_wide=True),
    route("rule_override_add", {"GET": ADMIN, "POST": ADMIN}, about="probes.rule"),
    route("rule_override_remove", {"POST": ADMIN}, about="probes.ruleoverride"),
    route("rules_export", {"GET": ADMIN}, site_wide=True),
    route("rules_import", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route("peers", {"GET": VIEWER}),
    route("peer_decide", {"POST": OPERATOR}),
    route("drift_edit", {"GET": ADMIN, "POST": ADMIN}),
    route("services", {"GET": VIEWER}),
    route("service", {"GET": VIEWER}, about="probes.service"),
    route("service_add", {"GET": ADMIN, "POST": ADMIN}),
    route("service_edit", {"GET": ADMIN, "POST": ADMIN}, about="probes.service"),
    route("service_remove", {"POST": ADMIN}, about="probes.service"),
    route("service_restart", {"POST": OPERATOR}, about="probes.service"),
    route("restart_commands", {"GET": ADMIN}, site_wide=True),
    route("restart_command_add", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route(
        "restart_command_edit",
        {"GET": ADMIN, "POST": ADMIN},
        about="probes.restartcommand",
        site_wide=True,
    ),
    route(
        "restart_command_remove",
        {"POST": ADMIN},
        about="probes.restartcommand",
        site_wide=True,
    ),
    route("changes", {"GET": VIEWER}),
    route("port_policies", {"GET": VIEWER}),
    route("port_policy_edit", {"GET": ADMIN, "POST": ADMIN}),
    route("port_policy_remove", {"POST": ADMIN}, about="probes.portpolicy"),
    route("channels", {"GET": ADMIN}, site_wide=True),
    route("channel", {"GET": ADMIN}, about="probes.channel", site_wide=True),
    route("channel_add", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route("channel_edit", {"GET": ADMIN, "POST": ADMIN}, about="probes.channel", site_wide=True),
    route("channel_remove", {"POST": ADMIN}, about="probes.channel", site_wide=True),
    route("channel_test", {"POST": ADMIN}, about="probes.channel", site_wide=True),
    route("channel_retry", {"POST": ADMIN}, about="probes.channel", site_wide=True),
    route("findings", {"GET": VIEWER}),
    route("ports", {"GET": VIEWER}),
    route("exposure", {"GET": VIEWER}),
    route("host_reach", {"POST": OPERATOR}, about="hosts.host"),
    route("host_reach_progress", {"GET": VIEWER}, about="hosts.host"),
    route("statistics", {"GET": VIEWER}),
    route("report", {"GET": VIEWER}),
    route("report_mailings", {"GET": VIEWER}),
    route("report_mailing_add", {"GET": OPERATOR, "POST": OPERATOR}),
    route("report_mailing_edit", {"GET": OPERATOR, "POST": OPERATOR}, about="own mailing"),
    route("report_mailing_remove", {"POST": OPERATOR}, about="own mailing"),
    route("report_mailing_send", {"POST": OPERATOR}, about="own mailing"),
    route("map", {"GET": VIEWER}),
    route("compare", {"GET": VIEWER}),
    route("paste", {"GET": VIEWER, "POST": VIEWER}),
    route("paste_download", {"POST": VIEWER}),
    route("paste_save", {"POST": OPERATOR}),
    route("connection_test", {"POST": ADMIN}),
    route("host", {"GET": VIEWER}, about="hosts.host"),
    route("host_ports", {"GET": VIEWER}, about="hosts.host"),
    route("host_peers", {"GET": VIEWER}, about="hosts.host"),
    route("host_states", {"GET": VIEWER}, about="hosts.host"),
    route("host_network", {"GET": VIEWER}, about="hosts.host"),
    route("host_history", {"GET": VIEWER}, about="hosts.host"),
    route("host_diff", {"GET": VIEWER}, about="hosts.host"),
    route("host_watch", {"GET": VIEWER}, about="hosts.host"),
    route("host_watch_forget", {"POST": OPERATOR}, about="hosts.host"),
    route("host_probes", {"GET": VIEWER}, about="hosts.host"),
    route("host_live", {"GET": OPERATOR}, about="hosts.host"),
    route("host_live_beat", {"POST": OPERATOR}, about="hosts.host"),
    route("probe_now", {"POST": OPERATOR}, about="hosts.host"),
    route("probe_progress", {"GET": VIEWER}, about="hosts.host"),
    route("snapshot", {"GET": VIEWER}, about="probes.snapshot"),
    route("snapshot_raw", {"GET": VIEWER}, about="probes.snapshot"),
    route("mcp", {"POST": VIEWER}, token_only=True),
    route("healthz", {"GET": ANYBODY}),
    route("metrics", {"GET": VIEWER}),
    route("readyz", {"GET": ANYBODY}, answers=503),
)
"""``readyz`` answers 503 where no worker runs, as in the tests."""

API: Final = (
    route("api-openapi", {"GET": VIEWER}),
    route("api-docs", {"GET": VIEWER}),
    route("api-tokens", {"GET": VIEWER}),
    route("api-token", {"GET": VIEWER, "DELETE": VIEWER}, about="own token"),
    route("api-hosts", {"GET": VIEWER, "POST": ADMIN}),
    route("api-host", {"GET": VIEWER, "PATCH": ADMIN, "DELETE": ADMIN}, about="hosts.host"),
    route("api-host-probe", {"POST": OPERATOR}, about="hosts.host"),
    route("api-host-snapshots", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-connections", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-ports", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-history", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-diff", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-routes", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-interfaces", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-protocols", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-multicast", {"GET": VIEWER}, about="hosts.host"),
    route("api-snapshot", {"GET": VIEWER}, about="probes.snapshot"),
    route("api-snapshot-raw", {"GET": VIEWER}, about="probes.snapshot"),
    route("api-findings", {"GET": VIEWER}),
    route("api-leaks", {"GET": VIEWER}),
    route("api-connections-query", {"GET": VIEWER}),
    route("api-ports-check", {"GET": VIEWER}, query="port=22"),
    route("api-ports", {"GET": VIEWER}, query="port=22"),
    route("api-exposure", {"GET": VIEWER}),
    route("api-host-reach", {"GET": VIEWER, "POST": OPERATOR}, about="hosts.host"),
    route("api-map", {"GET": VIEWER}),
    route("api-diff", {"GET": VIEWER}, query="hosts={host},{host}"),
    route("api-connections-search", {"GET": VIEWER, "POST": VIEWER}, query="port=22"),
    route("api-hunts", {"GET": VIEWER, "POST": OPERATOR}),
    route("api-hunt", {"GET": VIEWER, "PATCH": OPERATOR, "DELETE": OPERATOR}, about="probes.hunt"),
    route("api-alerts", {"GET": VIEWER}),
    route("api-alert", {"GET": VIEWER}, about="probes.alert"),
    route("api-alert-acknowledge", {"POST": OPERATOR}, about="probes.alert"),
    route("api-alert-snooze", {"POST": OPERATOR}, about="probes.alert"),
    route("api-silences", {"GET": VIEWER, "POST": OPERATOR}),
    route(
        "api-silence",
        {"GET": VIEWER, "PATCH": OPERATOR, "DELETE": OPERATOR},
        about="probes.silence",
    ),
    route("api-activity", {"GET": VIEWER}),
    route("api-rules", {"GET": VIEWER, "POST": ADMIN}),
    route("api-rule", {"GET": VIEWER, "PATCH": ADMIN, "DELETE": ADMIN}, about="probes.rule"),
    route("api-rule-overrides", {"GET": VIEWER, "POST": ADMIN}, about="probes.rule"),
    route(
        "api-rule-override",
        {"GET": VIEWER, "PATCH": ADMIN, "DELETE": ADMIN},
        about="probes.ruleoverride",
    ),
    route("api-rule-set", {"GET": ADMIN, "PUT": ADMIN}, site_wide=True),
    route("api-peers", {"GET": VIEWER}),
    route("api-peer-decide", {"POST": OPERATOR}, about="probes.peer"),
    route("api-drift-watches", {"GET": VIEWER}),
    route(
        "api-drift-watch", {"GET": VIEWER, "PUT": ADMIN, "DELETE": ADMIN}, about="probes.driftwatch"
    ),
    route("api-services", {"GET": VIEWER, "POST": ADMIN}),
    route(
        "api-service",
        {"GET": VIEWER, "PATCH": ADMIN, "DELETE": ADMIN},
        about="probes.service",
    ),
    route("api-service-restart", {"POST": OPERATOR}, about="probes.service"),
    route("api-service-restarts", {"GET": VIEWER}, about="probes.service"),
    route("api-restart-commands", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route(
        "api-restart-command",
        {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN},
        about="probes.restartcommand",
        site_wide=True,
    ),
    route("api-changes", {"GET": VIEWER}),
    route("api-events", {"GET": VIEWER}, answers=503),
    route("api-host-watch", {"GET": VIEWER}, about="hosts.host"),
    route("api-host-watch-forget", {"POST": OPERATOR}, about="hosts.host"),
    route("api-port-policies", {"GET": VIEWER, "POST": ADMIN}),
    route(
        "api-port-policy",
        {"GET": VIEWER, "PATCH": ADMIN, "DELETE": ADMIN},
        about="probes.portpolicy",
    ),
    route("api-channels", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route(
        "api-channel",
        {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN},
        about="probes.channel",
        site_wide=True,
    ),
    route("api-channel-test", {"POST": ADMIN}, about="probes.channel", site_wide=True),
    route("api-channel-deliveries", {"GET": ADMIN}, about="probes.channel", site_wide=True),
    route("api-channel-retry", {"POST": ADMIN}, about="probes.channel", site_wide=True),
    route("api-search", {"GET": VIEWER}, query="q=web"),
    route("api-parse", {"POST": VIEWER}),
    route("api-report", {"GET": VIEWER}),
    route("api-report-mailings", {"GET": VIEWER, "POST": OPERATOR}),
    route(
        "api-report-mailing",
        {"GET": VIEWER, "PATCH": OPERATOR, "DELETE": OPERATOR},
        about="own mailing",
    ),
    route("api-report-mailing-send", {"POST": OPERATOR}, about="own mailing"),
    route("api-statistics-ips", {"GET": VIEWER}),
    route("api-statistics-ends", {"GET": VIEWER}),
    route("api-statistics-ports", {"GET": VIEWER}),
    route("api-statistics-programs", {"GET": VIEWER}),
    route("api-statistics-states", {"GET": VIEWER}),
    route("api-statistics-protocols", {"GET": VIEWER}),
    route("api-statistics-common-ports", {"GET": VIEWER}),
    route("api-statistics-scopes", {"GET": VIEWER}),
    route("api-statistics-connections", {"GET": VIEWER}),
    route("api-statistics-traffic", {"GET": VIEWER}),
    route("api-statistics-interfaces", {"GET": VIEWER}, query="interface=lo&host={host}"),
    route("api-statistics-timeline", {"GET": VIEWER}),
    route("api-statistics-trend", {"GET": VIEWER}, query="by=ip"),
    route("api-cmdb-sources", {"GET": ADMIN, "POST": ADMIN}, site_wide=True),
    route(
        "api-cmdb-source",
        {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN},
        about="hosts.source",
        site_wide=True,
    ),
    route("api-cmdb-source-sync", {"POST": ADMIN}, about="hosts.source", site_wide=True),
    route("api-cmdb-runs", {"GET": ADMIN}, site_wide=True),
    route("api-cmdb-run", {"GET": ADMIN}, about="hosts.syncrun", site_wide=True),
    route("api-cmdb-run-decide", {"POST": ADMIN}, about="hosts.syncrun", site_wide=True),
)

DJANGO_ADMIN: Final = (
    _admin("admin:index"),
    route("admin:logout", {"POST": ADMIN}, site_wide=True),
    _admin("admin:password_change", answers=302),
    _admin("admin:password_change_done", answers=302),
    route("admin:autocomplete", {"GET": ADMIN}, answers=403, site_wide=True),
    route("admin:jsi18n", {"GET": ADMIN}, site_wide=True),
    _admin("admin:view_on_site", about="contenttype", answers=404),
    _admin("admin:app_list", about="app"),
    *admin_model("auth.user"),
    _admin("admin:auth_user_password_change", about="auth.user"),
    *admin_model("access.apitoken", may=""),
    *admin_model("access.auditentry", may=""),
    *admin_model("axes.accessattempt", may="delete"),
    *admin_model("hosts.host"),
    *admin_model("hosts.hostgroup"),
    *admin_model("hosts.credential"),
    *admin_model("hosts.hostkey", may="change delete"),
    *admin_model("probes.snapshot", may=""),
)

ROUTES: Final[tuple[Route, ...]] = (*PAGES, *HOSTS, *PROBES, *API, *DJANGO_ADMIN)
BY_NAME: Final = {row.name: row for row in ROUTES}
