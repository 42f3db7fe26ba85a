"""What hosts printed, where it is still kept: the newest whole output, and evidence.

Place in the data's way: beside ``history.store``, which keeps it in its transaction and hands
:func:`raw` and :func:`notes` on to pages. The newest whole output is the host's last text
already and is not kept twice.
"""

from __future__ import annotations

from probes.history import packing, texts
from probes.models import LastText, Outcome, RawOutput, Snapshot
from probes.observation import Observation


def raw(snapshot: Snapshot, *, using: str = "default") -> bytes | None:
    """What the host printed to standard output, where it is still kept; None where not.

    For the newest whole probe that is the last text (undecodable bytes as ``\\xNN``); for others
    it may be a prefix, then it is shorter than ``RawOutput.size_bytes``.
    """
    kept = RawOutput.objects.using(using).filter(pk=snapshot.pk).first()
    if kept is not None:
        return texts.unpack(bytes(kept.stdout_zstd))
    newest = _last_text(snapshot, using)
    return None if newest is None else texts.unpack(bytes(newest.text_zstd))


def notes(snapshot: Snapshot, *, using: str = "default") -> str:
    """What the host printed to standard error, where it is still kept; empty where not."""
    kept = RawOutput.objects.using(using).filter(pk=snapshot.pk).defer("stdout_zstd").first()
    if kept is not None:
        return kept.stderr
    newest = _last_text(snapshot, using)
    return "" if newest is None else newest.notes


def keep(snapshot: Snapshot, observation: Observation, *, using: str) -> None:
    """Keep the output of a stored probe as evidence, cut to the cap of ``history.texts``."""
    output = observation.raw or observation.text.encode("utf-8", "backslashreplace")
    if output or observation.notes:
        RawOutput.objects.using(using).create(
            snapshot=snapshot,
            stdout_zstd=texts.pack_capped(output),
            stderr=notes_of(observation),
            size_bytes=len(output),
        )


def notes_of(observation: Observation) -> str:
    """Its standard error as every database takes it, capped."""
    return packing.storable(observation.notes)[: texts.MAX_NOTES_CHARS]


def _last_text(snapshot: Snapshot, using: str) -> LastText | None:
    """The host's last text where it is that of this snapshot."""
    if snapshot.outcome != Outcome.OK:
        return None
    return (
        LastText.objects.using(using)
        .filter(host_id=snapshot.host_id, taken_at=snapshot.taken_at)
        .first()
    )
