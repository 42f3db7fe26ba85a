"""How the texts that parsers show to people reach the catalogues.

Place in the data's way: beside it; the dialect modules mark their texts with it. Pure: translates
nothing and knows no Django. Reasons and remarks are kept, stored and sent in English, as constants
without anything of a line in them, and the pages translate them when they show them.

A text written in the call itself, ``OddLine("...")`` or ``remark("...")``, is collected by its
caller's name (``probes.management.commands.makemessages``). One that is kept under a name first is
marked with :func:`gettext_noop`.
"""

from __future__ import annotations


def gettext_noop(text: str) -> str:
    """Mark ``text`` for the catalogues; the answer is ``text``."""
    return text
