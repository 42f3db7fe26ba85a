"""Finds the host that a person means by a name, an address or an id.

Place in the data's way: asked by the commands and by the tools of assistants, which are told one
word; pages and routes know ids. The hosts that are given decide what may be found.
"""

from __future__ import annotations

from hosts.models import Host, HostQuerySet
from hosts.validators import plain_address
from hosts.values import fit_text


class NotFound(LookupError):
    """No host is meant by the word."""


class Ambiguous(LookupError):
    """Several hosts have that address; a name says which."""


def find(hosts: HostQuerySet, word: str) -> Host:
    """The host called ``word``, else the one with that address, else the one with that id.

    Raises :class:`NotFound` and :class:`Ambiguous`.
    """
    if fit_text(word) != word:  # no name has such characters, and some no database takes
        raise NotFound(word)
    by_name = hosts.filter(name=word).order_by("removed_at", "pk").first()
    if by_name is not None:
        return by_name
    same_address = list(hosts.filter(address=plain_address(word))[:2])
    if len(same_address) == 1:
        return same_address[0]
    if word.isascii() and word.isdigit() and len(word) < 19:
        by_id = hosts.filter(pk=int(word)).first()
        if by_id is not None:
            return by_id
    raise Ambiguous(word) if same_address else NotFound(word)
