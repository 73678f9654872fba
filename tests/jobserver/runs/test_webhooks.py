"""Which addresses webhooks may call: https and public, whatever a name is made to mean."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.jobserver.runs.webhooks import WebhookRefused, check_address, check_resolved, signature


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://",
        "example.org",
        "https://a:b@example.org/",
        "https://x:99999/",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://[::1]/x",
        "https://localhost/x",
        "https://10.1.2.3:8443/x",
    ],
)
def test_addresses_that_are_not_called(url: str) -> None:
    with pytest.raises(WebhookRefused):
        check_address(url, ())


def test_addresses_that_are_called() -> None:
    assert check_address("https://example.org/hook", ()) == ("example.org", 443)
    assert check_address("https://1.1.1.1/hook", ()) == ("1.1.1.1", 443)
    assert check_address("http://127.0.0.1/hook", ("127.0.0.1",)) == ("127.0.0.1", 80)
    assert check_address("http://chat.local:8080/hook", ("chat.local",)) == ("chat.local", 8080)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
        "192.0.0.170",
        "192.88.99.1",
        "198.18.0.1",
        "::",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::10.0.0.1",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2001:0:a00:1::f5ff:fffe",
        "2001:db8::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ],
)
def test_addresses_inside_a_network(address: str) -> None:
    with pytest.raises(WebhookRefused, match="inside a network"):
        check_resolved("example.org", ["93.184.215.14", address], ())
    assert check_resolved("example.org", [address], ("example.org",)) == address


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_ipv4_address_within_another_is_as_that_alone(address: IPv4Address, prefix: str) -> None:
    def is_called(text: str) -> bool:
        try:
            return check_resolved("example.org", [text], ()) == text
        except WebhookRefused:
            return False

    within = str(IPv6Address(int(IPv6Address(prefix)) | int(address)))
    assert is_called(within) == is_called(str(address))


def test_public_addresses_and_none() -> None:
    assert check_resolved("example.org", ["93.184.215.14", "2606:2800:21f::1"], ()) == "93.184.215.14"
    for address in ("64:ff9b::93.184.215.14", "::ffff:93.184.215.14", "2a00:1450::1"):
        assert check_resolved("example.org", [address], ()) == address
    with pytest.raises(WebhookRefused, match="no address"):
        check_resolved("example.org", [], ())


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        host, port = check_address(text, ())
    except WebhookRefused:
        return
    assert host
    assert 0 <= port < 65536


def test_the_signature_is_that_of_the_rfc() -> None:
    """Test case 2 of RFC 4231."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature("Jefe", b"what do ya want for nothing?") == f"sha256={expected}"
