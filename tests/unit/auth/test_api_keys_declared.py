"""What a declaration of API keys refuses."""

from typing import Any

import pytest

from limen import Upstream
from limen.auth.api_keys import ApiKeys

SERVICE = Upstream("svc", ["http://127.0.0.1:1"])


def test_what_is_given_is_kept() -> None:
    keys = ApiKeys(SERVICE, header="X-Key", path="/ask")
    assert (keys.header, keys.path) == ("x-key", "/ask")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": "authorization"}, "header='authorization' cannot hold a key"),
        ({"header": "Cookie"}, "header='Cookie' cannot hold a key"),
        ({"header": "x key"}, "header='x key' cannot hold a key"),
        ({"header": ""}, "header='' cannot hold a key"),
        ({"path": "ask"}, "path='ask' is no path"),
        ({"path": "/a b"}, "path='/a b' is no path"),
        ({"path": "/a\r\nx: y"}, "is no path"),
        ({"remember": -1}, "must not be negative"),
        ({"cache": -1}, "must not be negative"),
        ({"waiting": -1}, "must not be negative"),
        ({"at_once": 1}, "at_once at least 2"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="ApiKeys: ") as caught:
        ApiKeys(SERVICE, **options)
    assert message in str(caught.value)
