"""The network of an address, which counts as one client where clients take turns."""

import pytest

from limen.http.networks import network_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", 1), ("192.0.2.254", 2), True),
        (("192.0.2.1", 1), ("192.0.3.1", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1", 1, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("::ffff:192.0.2.1", 1, 0, 0), ("192.0.2.7", 1), True),
        (("::ffff:192.0.2.1", 1, 0, 0), ("::ffff:192.0.3.1", 1, 0, 0), False),
        (("fe80::1%lo", 1, 0, 1), ("fe80::2", 1, 0, 1), True),
        ("", b"", True),  # Unix sockets
        (("no address", 1), "", True),
    ],
)
def test_what_counts_as_a_network(one: object, other: object, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
