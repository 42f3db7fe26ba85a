"""Restarts services that went down: at most so often, once a decision, and never blindly.

Place in the data's way: ``decisions.judge`` looks at each stored probe in its transaction and plans
a restart where a service's port is gone; ``running`` takes planned ones up from a beat entry, runs
the administrator's command over the transports of probes, and asks for the probe that tells whether
it helped; ``guard`` says, for people and for itself, what stands against it. ``defined`` is where
services and commands are written, ``listing`` where pages read them.

A restart is a row that goes one way: planned, running (committed before the command is sent),
looking again, and then recovered or still down. Whoever dies on the way leaves a row whose lease
expires; a command that may have been sent is never sent again.
"""

from __future__ import annotations

from probes.recovery.decisions import judge
from probes.recovery.listing import service_of

__all__ = ["judge", "service_of"]
