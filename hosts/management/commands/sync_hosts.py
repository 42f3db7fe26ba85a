"""``manage.py sync_hosts [NAME] [--dry-run]``: brings hosts to what their sources list, now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hosts.cmdb import sync, wording
from hosts.models import Source, SyncRun

BAD = (SyncRun.State.FAILED, SyncRun.State.REFUSED, SyncRun.State.WAITING)
ACTOR = "manage.py sync_hosts"


class Command(BaseCommand):
    """Synchronises one source, or all that are enabled."""

    help = "Bring hosts to what their sources list; ends with 1 where one failed or waits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The name of a source, and whether only to say what would happen."""
        parser.add_argument("name", nargs="?", help="only the source of this name")
        parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run each and print what it did."""
        name = options["name"]
        sources = Source.objects.filter(name=name) if name else Source.objects.filter(enabled=True)
        if name and not sources.exists():
            raise CommandError(f"There is no source {name!r}.")
        bad = False
        for source in sources:
            done = sync.run(source.pk, by=ACTOR, dry=options["dry_run"])
            if done is None:
                self.stdout.write(f"{source.name}: another worker is at it")
                bad = True
                continue
            self._show(source, done)
            bad = bad or done.state in BAD
        if bad:
            raise CommandError("Not all sources were synchronised.")

    def _show(self, source: Source, done: SyncRun) -> None:
        state = SyncRun.State(done.state).label
        counts = f"{done.rows} listed, +{done.added} ~{done.changed} -{done.removed}"
        self.stdout.write(f"{source.name}: {state}, {counts} {wording.run(done)}".rstrip())
        for each in done.plan.get("add", []):
            self.stdout.write(f"  + {each['name']} {each['address']}")
        for each in done.plan.get("change", []):
            for field, (before, after) in each["fields"].items():
                self.stdout.write(f"  ~ {each['name']} {field}: {before} -> {after}")
        for each in done.plan.get("remove", []):
            self.stdout.write(f"  - {each['name']} {each['address']}")
        for each in done.plan.get("problems", []):
            label = " ".join(filter(None, (each["where"], each["name"])))
            self.stdout.write(f"  ! {label}: {wording.problem(each)}")
