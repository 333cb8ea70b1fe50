"""A request as policies and rules see it, without a connection that it came on."""

from collections.abc import Iterable, Mapping

from limen.exchange.principal import Principal
from limen.exchange.request import Request
from limen.http.headers import Head


def make_request(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    client: str = "192.0.2.1",
    scheme: str = "http",
    host: str = "gateway.test",
    params: Mapping[str, str] | None = None,
    principal: Principal | None = None,
    route: str = "-",
    request_id: str = "test",
) -> Request:
    """Return a request. ``target`` is a raw path and perhaps a query; ``params`` are path parameters, decoded."""
    path, mark, query = target.partition("?")
    request = Request(
        method.encode(),
        path.encode(),
        query.encode() if mark else None,
        Head([(name.lower().encode(), value.encode("latin-1")) for name, value in headers]),
        request_id=request_id,
        peer=client.encode(),
        client=client.encode(),
        scheme=scheme.encode(),
        host=host.encode(),
        origin=b"",
    )
    if params is not None:
        request.params = params
    request.principal = principal
    request.route = route
    return request
