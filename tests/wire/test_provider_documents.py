"""Discovery over real sockets: where the keys of an issuer are looked for, and which document is trusted."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from limen import Timeouts, Tls
from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.provider import Provider
from limen.testing import Conversation, Script, ScriptedUpstream
from limen.upstream.fetch import NotFetchedError

SET = b'{"keys": []}'
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"use_uvloop": True})


class Documents:
    """What lies at which path; anything else is 404."""

    def __init__(self) -> None:
        self.at: dict[str, Any] = {}
        self.asked: list[str] = []

    async def serve(self, conversation: Conversation) -> None:
        while True:
            head = await conversation.request()
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            found = self.at.get(path)
            content = found if isinstance(found, bytes) else json.dumps(found).encode()
            status = b"404 Not Found" if found is None else b"%d X" % found if isinstance(found, int) else b"200 OK"
            await conversation.say(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(content), content)
            )


def issuer(url: str, **options: Any) -> Issuer:
    options = {"allow_http": True, "audience": "shop"} | options
    return Issuer(url, **options)


async def test_the_openid_document_leads_to_the_keys() -> None:
    documents = Documents()
    async with ScriptedUpstream(documents.serve) as server:
        url = f"{server.url}/realms/shop"
        documents.at = {
            f"/realms/shop{OPENID}": {"issuer": url, "jwks_uri": f"{server.url}/keys?v=1"},
            "/keys?v=1": SET,
        }
        provider = Provider(issuer(url))
        assert await provider.key_set() == SET
        assert await provider.key_set() == SET
        assert documents.asked == [f"/realms/shop{OPENID}", "/keys?v=1"] * 2
        assert server.connections == 1
        await provider.aclose()


async def test_a_provider_that_names_another_dead_place_each_time_leaves_nothing_behind() -> None:
    documents = Documents()
    async with ScriptedUpstream(documents.serve) as server:
        provider = Provider(issuer(server.url))
        for number in range(20):
            documents.at = {OPENID: {"issuer": server.url, "jwks_uri": f"http://127.0.0.{number + 2}:9/keys"}}
            with pytest.raises(NotFetchedError, match=f"127.0.0.{number + 2}"):
                await provider.key_set()
        assert len(provider._origins) <= 2  # pyright: ignore[reportPrivateUsage] - nothing public shows them
        await provider.aclose()


async def test_the_document_of_an_authorization_server_serves_without_openid() -> None:
    documents = Documents()
    async with ScriptedUpstream(documents.serve) as server:
        url = f"{server.url}/tenant"
        documents.at = {f"{OAUTH}/tenant": {"issuer": url, "jwks_uri": f"{server.url}/keys"}, "/keys": SET}
        provider = Provider(issuer(url))
        assert await provider.key_set() == SET
        assert documents.asked == [f"/tenant{OPENID}", f"{OAUTH}/tenant", "/keys"]
        documents.at[f"/tenant{OPENID}"] = 500
        # An error is no "not here".
        assert await provider.key_set() == SET
        assert documents.asked[3:] == [f"/tenant{OPENID}", "/keys"]
        await provider.aclose()


async def test_the_address_of_the_keys_can_be_declared() -> None:
    documents = Documents()
    documents.at = {"/keys": SET}
    async with ScriptedUpstream(documents.serve) as server:
        provider = Provider(issuer("https://idp.example", jwks_uri=f"{server.url}/keys"))
        assert await provider.key_set() == SET
        assert documents.asked == ["/keys"]
        await provider.aclose()


WRONG: dict[str, tuple[Any, str]] = {
    "of another": ({"issuer": "https://evil.example", "jwks_uri": "URL/keys"}, "is of another issuer than"),
    "a slash more": ({"issuer": "URL/", "jwks_uri": "URL/keys"}, "is of another issuer than"),
    "of nobody": ({"jwks_uri": "URL/keys"}, "is of another issuer than"),
    "without keys": ({"issuer": "URL"}, "has no jwks_uri"),
    "a list": ({"issuer": "URL", "jwks_uri": ["URL/keys"]}, "has no jwks_uri"),
    "a file": ({"issuer": "URL", "jwks_uri": "file:///etc/keys"}, "jwks_uri: .* must begin with https://"),
    "a password": ({"issuer": "URL", "jwks_uri": "https://a:secret@x/keys"}, "jwks_uri: the address must not hold"),
    "a line": ({"issuer": "URL", "jwks_uri": "URL/keys\r\nx: y"}, "jwks_uri: the address has characters"),
    "no JSON": (b"{", "is no JSON object"),
    "twice": (b'{"issuer": "URL", "issuer": "URL", "jwks_uri": "URL/keys"}', "is no JSON object"),
}


@pytest.mark.parametrize(("document", "message"), WRONG.values(), ids=WRONG)
async def test_an_invalid_discovery_document_is_refused(document: Any, message: str) -> None:
    documents = Documents()
    async with ScriptedUpstream(documents.serve) as server:
        good = json.dumps({"issuer": server.url, "jwks_uri": f"{server.url}/keys"})
        documents.at = {OPENID: good.encode(), "/keys": SET}
        provider = Provider(issuer(server.url))
        # Whatever was right before does not make this one right.
        assert await provider.key_set() == SET
        text = document.decode() if isinstance(document, bytes) else json.dumps(document)
        documents.at[OPENID] = text.replace("URL", server.url).encode()
        with pytest.raises(NotFetchedError, match=message) as caught:
            await provider.key_set()
        assert documents.asked == [OPENID, "/keys", OPENID]
        assert "secret" not in str(caught.value)
        await provider.aclose()


async def test_http_is_not_taken_from_a_document_where_https_is_the_rule(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    documents = Documents()
    async with (
        ScriptedUpstream(documents.serve) as plain,
        ScriptedUpstream(documents.serve, tls=authority.server()) as server,
    ):
        documents.at = {OPENID: {"issuer": server.url, "jwks_uri": f"{plain.url}/keys"}, "/keys": SET}
        provider = Provider(issuer(server.url, allow_http=False, tls=Tls(ca=authority.path)))
        with pytest.raises(NotFetchedError, match=r"jwks_uri: .* is not protected"):
            await provider.key_set()
        assert plain.connections == 0
        await provider.aclose()


async def test_keys_may_lie_elsewhere_but_the_client_certificate_stays(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown: list[bool] = []
    documents = Documents()

    def watched(serve: Script) -> Script:
        async def script(conversation: Conversation) -> None:
            session = conversation.writer.get_extra_info("ssl_object")
            shown.append(session.getpeercert() is not None)
            await serve(conversation)

        return script

    wanting, asking = authority.server(clients=True), authority.server(clients=True)
    asking.verify_mode = ssl.CERT_OPTIONAL
    certificate, key = authority.pair("gateway")
    async with (
        ScriptedUpstream(watched(documents.serve), tls=wanting) as server,
        ScriptedUpstream(watched(documents.serve), tls=asking) as first,
        ScriptedUpstream(watched(documents.serve), tls=asking) as second,
    ):
        tls = Tls(ca=authority.path, certificate=certificate, key=key, server_name="localhost")
        provider = Provider(issuer(server.url, allow_http=False, tls=tls))
        for elsewhere in (first, second):
            documents.at = {OPENID: {"issuer": server.url, "jwks_uri": f"{elsewhere.url}/keys"}, "/keys": SET}
            assert await provider.key_set() == SET
        assert shown == [True, False, False]
        assert (first.connections, second.connections) == (1, 1)
        await provider.aclose()


async def test_an_issuer_that_is_no_address_is_shown_the_client_certificate_where_its_keys_are(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    documents = Documents()
    documents.at = {"/keys": SET}
    certificate, key = authority.pair("gateway")
    async with ScriptedUpstream(documents.serve, tls=authority.server(clients=True)) as server:
        tls = Tls(ca=authority.path, certificate=certificate, key=key, server_name="localhost")
        provider = Provider(issuer("my-issuer", jwks_uri=f"{server.url}/keys", allow_http=False, tls=tls))
        assert await provider.key_set() == SET
        await provider.aclose()


async def test_discovery_takes_no_longer_than_the_total() -> None:
    documents = Documents()

    async def slow(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.reader.read()

    async with ScriptedUpstream(documents.serve) as server, ScriptedUpstream(slow) as elsewhere:
        documents.at = {OPENID: {"issuer": server.url, "jwks_uri": f"{elsewhere.url}/keys"}}
        timeouts = Timeouts(connect=0.05, first_byte=30, total=0.1)
        provider = Provider(issuer(server.url, timeouts=timeouts))
        with pytest.raises((NotFetchedError, TimeoutError)):
            await provider.key_set()
        await provider.aclose()


async def test_the_last_known_address_serves_while_discovery_fails() -> None:
    documents = Documents()
    async with ScriptedUpstream(documents.serve) as server:
        documents.at = {OPENID: {"issuer": server.url, "jwks_uri": f"{server.url}/keys"}, "/keys": SET}
        provider = Provider(issuer(server.url))
        documents.at[OPENID], good = 503, documents.at[OPENID]
        with pytest.raises(NotFetchedError, match="503"):
            await provider.key_set()
        documents.at[OPENID] = good
        assert await provider.key_set() == SET
        for broken in (503, None):
            documents.at[OPENID] = broken
            assert await provider.key_set() == SET
        await provider.aclose()


def test_tls_files_are_checked_when_the_provider_is_made(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^Issuer 'https://idp\.example': the file of the authorities, .* cannot be read"
    ):
        Provider(issuer("https://idp.example", tls=Tls(ca=tmp_path / "none.pem")))
