"""What may be asked of history by a hunt.

Place in the data's way: as ``probes.filters``, for the pages and JSON routes of hunts; turns a
valid question into what ``queries.sightings`` looks for.
"""

from __future__ import annotations

from typing import Annotated, Final

from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field

from probes import indicators
from probes.filters import (
    Addresses,
    FilterError,
    Identifier,
    Invalid,
    Moment,
    PortNumber,
    SocketFilter,
    address_range,
    text_like,
)
from probes.history.queries.sought import Sought
from probes.indicators import Indicator, Reading

LONGEST_LIST: Final = 1_900
"""Characters of a list that still goes into an address."""


def _one_address(text: str) -> str:
    found = address_range(text)
    if found.low != found.high:
        raise Invalid(_("Give one address. A network goes into cidr."))
    return text


class HuntQuery(SocketFilter):
    """Any indicators, or all of ip, cidr, port and program; narrowed by the filters."""

    ip: Annotated[str, AfterValidator(_one_address), text_like(format="address")] | None = None
    """Of the remote end."""
    cidr: Addresses | None = None
    port: PortNumber | None = None
    """The port that was listened on, whichever end had it."""
    indicators: (
        Annotated[
            str,
            Field(max_length=LONGEST_LIST),
            text_like(
                format="indicators", maxLength=LONGEST_LIST, examples=["203.0.113.7 port 4444"]
            ),
        ]
        | None
    ) = None
    """Addresses, networks, ports and programs, with blanks or line ends between."""
    since: Moment | None = None
    until: Moment | None = None
    host: Identifier | None = None
    group: Annotated[str, Field(max_length=100)] | None = None
    """Name of a host group."""

    @property
    def asks(self) -> bool:
        """Whether anything is looked for at all."""
        return bool(self.ip or self.cidr or self.port or self.program or self.indicators)

    def sought(self, reading: Reading | None = None) -> Sought:
        """What to look for: ``reading`` is the list, where it was sent apart.

        Raises FilterError where nothing bounds the question.
        """
        if self.since is not None and self.until is not None and self.since > self.until:
            raise FilterError("since", _("Give a time before until."))
        listed = reading or (indicators.read(self.indicators) if self.indicators else None)
        filters = self.filters()
        if listed is not None:
            if self.ip is not None or self.cidr is not None or self.port is not None:
                both = _("Give a list, or ip, cidr and port; not both.")
                raise FilterError("indicators", both)
            if not listed.indicators:
                why = listed.rejected[0].reason if listed.rejected else _("This list is empty.")
                raise FilterError("indicators", why)
            return Sought(listed.indicators, filters, self.since, self.until)
        indicator = self.indicator()
        if indicator.addresses is None and indicator.port is None:
            filters = filters.model_copy(update={"program": None})
        return Sought((indicator,), filters, self.since, self.until)

    def indicator(self) -> Indicator:
        """The one thing that ip, cidr, port and program name together."""
        if self.ip is not None and self.cidr is not None:
            raise FilterError("cidr", _("Give ip or cidr, not both."))
        address = self.ip or self.cidr
        name = "ip" if self.ip is not None else "cidr"
        try:
            if address is not None:
                return indicators.of_address(address, port=self.port)
            if self.port is not None:
                return indicators.of_port(self.port)
            name = "program"
            if self.program is not None:
                return indicators.of_program(self.program)
        except Invalid as error:
            raise FilterError(name, error.message) from None
        raise FilterError(
            "ip", _("Say what to look for: an ip, a cidr, a port, a program or a list.")
        )
