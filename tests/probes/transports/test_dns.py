"""One question to a real DNS server that answers, lies, errs, or keeps silent."""

from __future__ import annotations

import pytest

from probes.transports import dns
from probes.transports.dns import Answer, Outcome
from tests import dns_server
from tests.dns_server import Behaviour, Server

IP = "203.0.113.4"


def asked(behaviour: Behaviour, *, ip: str = IP, lifetime_s: float = 20.0) -> Answer:
    with Server({ip: behaviour}) as server:
        by = dns.resolver([server.address], lifetime_s=lifetime_s)
        return dns.name_of(ip, by)


@pytest.mark.parametrize("ip", [IP, "2001:db8::5"])
def test_an_address_has_its_name_and_how_long_it_holds(ip: str) -> None:
    answer = asked(dns_server.named("Mail.Example.COM.", ttl_s=5000), ip=ip)
    assert answer == (Outcome.NAMED, "mail.example.com", 5000)


def test_an_alias_is_followed_and_the_shorter_time_holds() -> None:
    answer = asked(dns_server.alias("4.0-25.113.0.203.in-addr.arpa.", "a.example.", ttl_s=4000))
    assert answer == (Outcome.NAMED, "a.example", 4000)


@pytest.mark.parametrize(
    ("behaviour", "ttl_s"),
    [(dns_server.nameless(minimum_s=4321), 4321), (dns_server.empty(), 0)],
)
def test_no_name_is_an_answer(behaviour: Behaviour, ttl_s: int) -> None:
    assert asked(behaviour) == (Outcome.NAMELESS, "", ttl_s)


@pytest.mark.parametrize(
    "behaviour",
    [dns_server.refusing(), dns_server.refusing(5), dns_server.silent(), dns_server.alias_loop()],
)
def test_trouble_is_no_answer_and_ends_in_time(behaviour: Behaviour) -> None:
    assert asked(behaviour, lifetime_s=0.4) == (Outcome.FAILED, "", 0)


def test_nobody_there_is_trouble_too() -> None:
    with Server() as server:
        address = server.address
    assert dns.name_of(IP, dns.resolver([address], lifetime_s=0.4)).outcome is Outcome.FAILED


def test_what_answers_another_question_is_waited_past() -> None:
    answer = asked(dns_server.lying_first("evil.example.", "true.example."))
    assert answer.name == "true.example"


def test_a_long_answer_is_asked_for_by_tcp() -> None:
    with Server({IP: dns_server.truncated()}) as server:
        server.by_tcp(IP, dns_server.named("long.example."))
        answer = dns.name_of(IP, dns.resolver([server.address], lifetime_s=20))
        assert (answer.name, server.over_tcp) == ("long.example", 1)


HOSTILE = [
    "<script>alert\\(1\\)</script>.example.",
    "a\\032b.example.",
    "x\\000y.example.",
    "\\226\\128\\174gpj.example.",
    "=cmd\\|calc.example.",
    "10.0.0.1.",
    "-a.example.",
    "a-.example.",
    ".",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_be_no_host_is_no_name(name: str) -> None:
    assert asked(dns_server.named(name)) == (Outcome.NAMELESS, "", 7200)


def test_of_several_names_one_that_could_be_a_host_is_taken() -> None:
    answer = asked(dns_server.named(HOSTILE[0], "good_host-1.example."))
    assert answer.name == "good_host-1.example"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("a" * 64 + ".example", ""),
        (".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abc"),
        (".".join(["a" * 49] * 5) + ".abcd", ""),
        ("", ""),
        ("host", "host"),
        ("a..b", ""),
        ("host.123", ""),
        ("host\n", ""),
        ("ｈｏｓｔ.example", ""),
    ],
)
def test_a_host_name_is_letters_digits_and_hyphens(text: str, name: str) -> None:
    assert dns.host_name(text) == name
