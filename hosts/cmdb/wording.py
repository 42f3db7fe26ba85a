"""Words for what synchronisations met, in the reader's language.

Place in the data's way: between the codes that ``hosts.cmdb`` stores and pages, mail and JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host, SyncRun

PROBLEMS = {
    "missing": gettext_lazy("%(field)s is missing."),
    "invalid": gettext_lazy("%(field)s cannot be “%(value)s”."),
    "not_text": gettext_lazy("%(field)s is neither text nor a number."),
    "template": gettext_lazy("%(field)s is a template (“%(value)s”), and those are not run."),
    "twice": gettext_lazy("%(field)s “%(value)s” is listed twice, so none of them is used."),
    "not_an_object": gettext_lazy("This is no host: “%(value)s”."),
    "not_ssh": gettext_lazy("It is not reached by SSH (%(field)s is “%(value)s”)."),
    "exists": gettext_lazy(
        "A host with this name or address is here already and did not come from this source."
    ),
    "refused": gettext_lazy("It could not be stored: %(message)s"),
}
RUNS = {
    "empty": gettext_lazy("The answer lists no host."),
    "no_good_row": gettext_lazy("Every row of the answer has a problem."),
    "broken": gettext_lazy("Line %(line)s cannot be read: %(problem)s."),
    "truncated": gettext_lazy("The answer ends too early, at line %(line)s."),
    "cells": gettext_lazy("Line %(line)s has %(cells)s cells, the heading %(columns)s."),
    "missing_column": gettext_lazy("There is no column “%(column)s”."),
    "column_twice": gettext_lazy("The column “%(column)s” is there twice."),
    "no_list": gettext_lazy("There is no list of hosts at “%(path)s”."),
    "too_many": gettext_lazy("It lists more than %(most)s hosts."),
    "too_much": gettext_lazy("It names groups and hosts more than %(most)s times."),
    "too_large": gettext_lazy("The answer is larger than %(size)s KiB."),
    "yaml_too_large": gettext_lazy(
        "The YAML is larger than %(size)s KiB. Give what ansible-inventory --list prints."
    ),
    "encoding": gettext_lazy("It is neither UTF-8 nor GBK text."),
    "count": gettext_lazy("It says that there are %(count)s rows and gave %(seen)s."),
    "elsewhere": gettext_lazy("Its next page is on another server (%(server)s)."),
    "loop": gettext_lazy("Its groups contain themselves."),
    "status": gettext_lazy("The server answered with the status %(status)s."),
    "login": gettext_lazy("The server refused the token (status %(status)s)."),
    "no_files_dir": gettext_lazy("Files are not read: CMDB_FILES_DIR is not set."),
    "file_outside": gettext_lazy("The file is not inside CMDB_FILES_DIR, or is no plain file."),
    "file_missing": gettext_lazy("There is no such file, or it may not be read."),
    "file_changed": gettext_lazy("The file was written while it was read."),
    "token": gettext_lazy("The stored token cannot be opened. Enter it again."),
    "interrupted": gettext_lazy("It was interrupted, and nothing was changed."),
    "error": gettext_lazy("An error of netadmin's own; its log says more. Nothing was changed."),
    "many_removed": gettext_lazy(
        "It would remove %(removed)s of %(known)s hosts, more than %(percent)s %%."
    ),
    "many_lately": gettext_lazy(
        "With those of the last 24 hours it would remove %(removed)s of %(known)s hosts, more "
        "than %(percent)s %%."
    ),
    "refused": gettext_lazy("Hosts that could not be stored: %(refused)s."),
    "unclear": gettext_lazy(
        "It would remove hosts while %(unclear)s rows do not say which host they are."
    ),
    "declined": gettext_lazy("A person declined it."),
    "superseded": gettext_lazy("A newer synchronisation waits instead."),
}


def problem(stored: Mapping[str, Any]) -> str:
    """One sentence for a problem of a run's plan."""
    values = dict(stored.get("values") or {})
    if "field" in values:
        values["field"] = field_label(str(values["field"]))
    return _filled(PROBLEMS, str(stored.get("code", "")), values)


def field_label(name: str) -> str:
    """What a field of a host is called; a name that is none stays as it is."""
    labels = {field.name: field.verbose_name for field in Host._meta.fields}
    return str(labels[name]) if name in labels and name != "id" else name


def run(row: SyncRun) -> str:
    """Why a run failed, was refused or waits, or is not done in whole; "" where none is so."""
    # Codes of ``outbound`` may be called as ours are; its words are stored with them.
    if row.error or not row.code:
        return row.error
    return _filled(RUNS, row.code, row.plan.get("values") or {})


def _filled(table: Mapping[str, Any], code: str, values: Mapping[str, Any]) -> str:
    words = table.get(code)
    if words is None:
        return ""
    try:
        return str(words) % values
    except (KeyError, TypeError, ValueError):
        return _("Unknown trouble (%(code)s).") % {"code": code}
