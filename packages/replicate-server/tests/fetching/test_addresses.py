"""The address rules: promise N1."""

from __future__ import annotations

import ipaddress

import pytest
from replicate_server.fetching import GuardedFetcher
from replicate_server.fetching.addresses import address_refusal
from replicate_server.ports.fetching import FetchRefused

PRIVATE_URLS = [
    # loopback
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/x",
    "http://127.255.255.254/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://app.localhost/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    # other spellings of loopback
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127。0。0。1/",
    # private ranges
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.1.1:8000/",
    "http://167772161/",
    "http://0xc0a80001/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    # IPv4 inside IPv6
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::10.0.0.1]/",
]

CLOSED_URLS = [
    # this host, link-local and metadata
    "http://0.0.0.0/",
    "http://0/",
    "http://0.1.2.3/",
    "http://[::]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.0.1/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://168.63.129.16/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    # transition forms, documentation, benchmarks, multicast, reserved
    "http://[::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:808:808::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2001:db8::1]/",
    "http://[64:ff9b:1::1]/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://[ff02::1]/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # what the text alone condemns
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com\t.evil/",
    "http://127.0.0.1 /",
    "http://%31%32%37.0.0.1/",
    "http://１２７.０.０.１/",
    "http://ⓛocalhost/",
    "http:///path",
    "http://0177.0.0.1/",
    "http:127.0.0.1/",
    "http://127.0.0.1:0/",
    "//127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "ftp://example.com/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "",
]

PUBLIC_URLS = [
    "https://example.com/x.png",
    "http://example.com:8080/",
    "https://bücher.example/",
    "https://8.8.8.8/",
    "https://172.32.0.1/",
    "https://100.128.0.1/",
    "https://[2606:4700:4700::1111]/",
    "https://[64:ff9b::808:808]/",
    "https://[::ffff:8.8.8.8]/",
    "https://example.com/?u=http://127.0.0.1/",
    "https://example.com/@127.0.0.1",
]


def test_the_table_has_at_least_sixty_hosts() -> None:
    assert len(PRIVATE_URLS) + len(CLOSED_URLS) >= 60


@pytest.mark.parametrize("url", PRIVATE_URLS + CLOSED_URLS)
def test_an_internal_url_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(FetchRefused):
        GuardedFetcher(allows_private=False).check(url)


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_a_private_url_is_accepted_where_private_targets_are_allowed(url: str) -> None:
    GuardedFetcher(allows_private=True).check(url)


@pytest.mark.parametrize("url", CLOSED_URLS)
def test_a_closed_url_is_refused_even_where_private_targets_are_allowed(url: str) -> None:
    with pytest.raises(FetchRefused):
        GuardedFetcher(allows_private=True).check(url)


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_a_public_url_is_accepted(url: str) -> None:
    GuardedFetcher(allows_private=False).check(url)


@pytest.mark.parametrize("name", ["metadata.google.internal", "printer.local", "db.intranet", "router.home.arpa"])
def test_an_internal_name_is_refused(name: str) -> None:
    with pytest.raises(FetchRefused):
        GuardedFetcher(allows_private=False).check(f"http://{name}/")


def test_a_refusal_does_not_repeat_the_url() -> None:
    with pytest.raises(FetchRefused) as refused:
        GuardedFetcher(allows_private=False).check("https://user:hunter2@example.com/?key=sesame")
    assert "hunter2" not in str(refused.value)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("address", ["::ffff:0:127.0.0.1", "fe80::5efe:127.0.0.1", "4000::1", "5f00::1"])
def test_address_space_that_nobody_was_given_stays_closed(address: str) -> None:
    assert address_refusal(ipaddress.ip_address(address), allows_private=False) is not None
