"""The words of closed sets that shapes declare are those of the models and modules they name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

import pytest

from hosts.cmdb import wording as cmdb_wording
from hosts.models import Source, SyncRun
from probes import connect_back, indicators
from probes.analysis import exposure, findings
from probes.history.queries import activity, scopes
from probes.models import (
    AlertKind,
    Change,
    Channel,
    Delivery,
    Direction,
    Metric,
    Peer,
    Reach,
    ReportRun,
    ReportSchedule,
    Restart,
    Severity,
)
from probes.models.recovery import Refusal
from probes.notify import trouble
from probes.parsers import records
from probes.payloads import shapes
from probes.payloads.shapes import alerts, channels, cmdb, reports, rules, words
from probes.recovery import listing
from probes.reports import sending
from probes.reports import words as report_words
from probes.watch import rule_book


@pytest.mark.parametrize(
    ("literal", "choices"),
    [
        (words.SocketState, records.TCP_STATES),
        (words.Direction, [way.name.lower() for way in Direction]),
        (words.Reachable, report_words.BOUND),
        (words.AddressScope, [scope for scope in scopes.SCOPES if scope != "all"]),
        (words.AlertKind, AlertKind.values),
        (words.Severity, Severity.values),
        (words.ChangeKind, Change.Kind.values),
        (words.ChannelKind, Channel.Kind.values),
        (words.DeliveryKind, Delivery.Kind.values),
        (words.DeliveryState, Delivery.State.values),
        (words.DeliveryError, trouble.WORDS),
        (words.IndicatorKind, get_args(indicators.Kind)),
        (words.FindingKind, findings.Kind),
        (words.FindingCode, findings.Code),
        (words.FindingSeverity, [severity.name.lower() for severity in findings.Severity]),
        (words.Metric, Metric.values),
        (words.PeerState, Peer.State.values),
        (words.RestartState, Restart.State.values),
        (words.ServiceState, listing.STATES),
        (words.RestartRefusal, Refusal.values),
        (words.Exposure, exposure.Bound),
        (words.Families, exposure.Stack),
        (words.ReachResult, Reach.Result.values),
        (words.ReachSkip, exposure.Skip),
        (words.ReachProblem, connect_back.Problem),
        (words.SourceKind, Source.Kind.values),
        (words.SyncState, SyncRun.State.values),
        (words.RowProblem, cmdb_wording.PROBLEMS),
        (words.Every, ReportSchedule.Every.values),
        (words.MailingOutcome, ReportRun.Outcome.values),
        (words.MailingTrouble, sending.REASONS),
    ],
)
def test_a_closed_set_has_the_words_of_what_it_is_named_after(
    literal: Any, choices: Iterable[str]
) -> None:
    assert sorted(get_args(literal)) == sorted(map(str, choices))


def test_an_entry_of_the_activity_is_of_one_of_its_kinds() -> None:
    assert get_args(_field(alerts.ActivityEntry, "kind")) == activity.KINDS


def test_a_section_of_the_report_knows_each_privilege_and_change() -> None:
    said = _words(_field(reports.ReportMeasured, "privilege"))
    assert said == set(report_words.PRIVILEGES)
    assert _words(_field(reports.ReportChange, "change")) == set(report_words.CHANGES)


def test_a_rule_and_its_override_have_every_field_that_can_be_set() -> None:
    assert set(rule_book.FIELDS) <= set(shapes.names(rules.Rule))
    assert set(rule_book.OVERRIDABLE) <= set(shapes.names(rules.RuleOverride))


def test_no_channel_and_no_source_shows_what_is_secret_of_it() -> None:
    assert not set(Channel.SECRET_FIELDS) & set(shapes.names(channels.Channel))
    assert not set(Source.SECRET_FIELDS) & set(shapes.names(cmdb.Source))


def _field(shape: Any, name: str) -> Any:
    return get_type_hints(shape)[name]


def _words(hint: Any) -> set[str]:
    inner = [each for each in get_args(hint) if each is not type(None)]
    return {word for each in inner for word in (get_args(each) or (each,))}
