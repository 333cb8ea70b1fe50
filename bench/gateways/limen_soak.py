"""The limen gateway of ``bench.soak``: routes with streamed bodies, with held bodies, and for callers only."""

import os

from limen import Gateway, Limits, Timeouts, Upstream, anyone, signed_in
from limen.auth import Jwt

_SERVICE = Upstream(
    "service",
    [os.environ["BENCH_UPSTREAM"]],
    limits=Limits(connections=64, waiting=256),
    timeouts=Timeouts(connect=5, first_byte=5, idle=5),
)
app = Gateway(title="Soak", auth=Jwt(os.environ["BENCH_SECRET"]))


@app.post("/held/{mark}", upstream=_SERVICE, allow=anyone, max_body=4096)
def held(mark: str, form: dict[str, int]) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub: its signature is the contract


app.forward("/guarded/{path:path}", upstream=_SERVICE, allow=signed_in)
app.forward("/{path:path}", upstream=_SERVICE, allow=anyone)
app.compile()
