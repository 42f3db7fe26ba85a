"""``manage.py probe HOST...``: probe hosts at once and say what came of each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from probes.console import named
from probes.management.asking import ACTOR, TROUBLE, Question, caller

if TYPE_CHECKING:
    from hosts.models import Host
    from probes.models import Snapshot

WAIT_FOR_LEASE_S: Final = 60.0
"""How long a host that a worker probes already is waited for."""

OUTCOMES: Final = {
    "ok": "green",
    "limited": "yellow",
    "partial": "yellow",
    "late": "yellow",
    "failed": "red",
}
PROBES: Final = (
    named("host", "host"),
    named("outcome", "outcome", colours=OUTCOMES),
    named("sockets", "sockets", number=True),
    named("listening", "listeners", number=True, least=1),
    named("opened", "opened", number=True, least=2),
    named("closed", "closed", number=True, least=2),
    named("tool", "tool", least=4),
    named("ms", "duration_ms", number=True, least=3),
    named("what is wrong", "title"),
)

EPILOG: Final = """\
exit status:
  0  each host gave a whole table
  1  some host did not: what is wrong and how to mend it is told
  2  trouble: no such host or group
"""


class Command(Question):
    """Exit status as in EPILOG."""

    help = "Probe hosts now, by name, address or id, and print what came of it."
    epilog = EPILOG

    def add_question(self, parser: argparse.ArgumentParser) -> None:
        """``HOST...``, ``--group NAME`` or ``--all``."""
        parser.add_argument("hosts", metavar="HOST", nargs="*", help="name, address or id")
        parser.add_argument("--group", metavar="NAME", help="every enabled host of this group")
        parser.add_argument("--all", action="store_true", help="every enabled host")

    def ask(self, options: dict[str, Any]) -> int:
        """Lease, probe, store, print."""
        from netadmin.access import audit
        from probes import work

        hosts = self._chosen(options)
        for host in hosts:
            audit.record("probe.now", target=host, actor=ACTOR)
        one = len(hosts) == 1 and not (options["group"] or options["all"])
        what = f"{hosts[0].name} ({_place(hosts[0])})" if one else f"{len(hosts)} hosts"
        found: dict[int, Snapshot | Exception] = {}
        failed = 0
        with self.console.progress(f"probing {what}", len(hosts)) as advance:
            for host, came in work.probe_many(hosts, wait_s=WAIT_FOR_LEASE_S):
                found[host.pk] = came
                failed += isinstance(came, Exception) or not _whole(came)
                advance(f"{failed} failed" if failed else "")
        if one and self.form == "table":
            return self._one(hosts[0], found[hosts[0].pk])
        self._many([(host, found[host.pk]) for host in hosts])
        return 1 if failed else 0

    def _chosen(self, options: dict[str, Any]) -> list[Host]:
        """The hosts that were named, each once; CommandError where none is."""
        from hosts.models import Host

        if bool(options["hosts"]) + bool(options["group"]) + options["all"] != 1:
            raise CommandError("Give hosts, or --group NAME, or --all.", returncode=TROUBLE)
        chosen = Host.objects.kept().select_related("credential", "jump_host__credential")
        if options["hosts"]:
            ids = [self.host_of(word).pk for word in dict.fromkeys(options["hosts"])]
            by_id = chosen.in_bulk(ids)
            return [by_id[pk] for pk in dict.fromkeys(ids)]
        chosen = chosen.filter(enabled=True).order_by("name", "pk")
        if options["group"] is not None:
            chosen = chosen.in_group(options["group"], caller().user)
        hosts = list(chosen)
        if not hosts:
            raise CommandError("There is no enabled host to probe.", returncode=TROUBLE)
        return hosts

    def _one(self, host: Host, came: Snapshot | Exception) -> int:
        if isinstance(came, Exception) or not _whole(came):
            title, hint, detail = _wrong(came)
            detail = f" ({detail})" if detail else ""
            raise CommandError(f"{title}{detail}. {hint}", returncode=1)
        states = "  ".join(f"{name} {count}" for name, count in sorted(came.by_state.items()))
        self.console.put(
            [
                f"{came.sockets} sockets, {came.listeners} listening, by {came.tool} "
                f"as {came.privilege} in {came.duration_ms} ms; "
                f"{came.opened} opened, {came.closed} closed, "
                f"{came.without_pid} without a PID, {came.rejected} lines not understood\n",
                f"{states}\n" if states else "",
            ]
        )
        return 0

    def _many(self, found: Sequence[tuple[Host, Snapshot | Exception]]) -> None:
        from netadmin import csvfile
        from probes import payloads

        rows = [_row(host, came) for host, came in found]
        if self.form == "json":
            self.console.json(
                {
                    "success": True,
                    "message": "",
                    "data": {
                        "snapshots": [row for row in rows if row["id"] is not None],
                        "not_probed": [row for row in rows if row["id"] is None],
                        "total": len(rows),
                    },
                }
            )
        elif self.form == "csv":
            shown = [row | {"host": row["host"]["name"]} for row in rows]
            names = payloads.SNAPSHOT
            self.console.put(csvfile.lines(names, ([row[name] for name in names] for row in shown)))
        else:
            self.console.table(PROBES, rows)
            for row in rows:
                if row["hint"]:
                    detail = f" ({row['detail']})" if row["detail"] else ""
                    self.console.tell(
                        f"{row['host']['name']}: {row['title']}{detail}. {row['hint']}"
                    )


def _whole(came: Snapshot) -> bool:
    from probes.models import Outcome

    return came.outcome == Outcome.OK


def _row(host: Host, came: Snapshot | Exception) -> dict[str, Any]:
    """As the API shows a snapshot, with the name of its host."""
    from probes import payloads

    named_host = {"host": payloads.host_name(host)}
    if not isinstance(came, Exception):
        return payloads.explained(came) | named_host
    title, hint, detail = _wrong(came)
    nothing: dict[str, Any] = dict.fromkeys(payloads.SNAPSHOT)
    return nothing | named_host | {"detail": detail, "title": title, "hint": hint}


def _wrong(came: Snapshot | Exception) -> tuple[str, str, str]:
    """Title, hint and detail of what went wrong."""
    from probes import work
    from probes.observation import EXPLANATIONS, Code

    if isinstance(came, work.LoginPaused):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        return _(title), _(hint), ""
    if isinstance(came, work.Busy):
        return "A worker is probing this host and does not end", "Try again.", ""
    if isinstance(came, Exception):
        return "Storing the probe failed", "The log says why.", type(came).__name__
    title, hint = EXPLANATIONS[Code(came.code)]
    return _(title), _(hint), came.detail


def _place(host: Host) -> str:
    return "this machine" if host.is_local else f"{host.address}:{host.port}"
