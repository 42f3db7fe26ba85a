"""``manage.py makemessages``: Django's own, which also collects what the parsers say.

Place in the data's way: none; run by hand after a text changed (docs/operations.md). The parsers
know no Django, so the reason of an ``OddLine`` and the text of a ``remark`` stand in English where
they are raised, and the two names are the marks.
"""

from __future__ import annotations

from django.core.management.commands import makemessages

KEYWORDS = ("OddLine", "remark")


class Command(makemessages.Command):
    """Django's command with two more marks for xgettext."""

    xgettext_options = [
        *makemessages.Command.xgettext_options,
        *(f"--keyword={keyword}" for keyword in KEYWORDS),
    ]
