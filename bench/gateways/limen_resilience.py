"""The limen gateway of ``bench.resilience`` and ``make chaos``: a service with several targets, and the defaults."""

import os

from limen import Gateway, Upstream, anyone

orders = Upstream("orders", os.environ["BENCH_TARGETS"].split(","))
app = Gateway(title="Resilience")
app.forward("/{path:path}", upstream=orders, allow=anyone, methods=["GET", "PUT", "POST"])
app.compile()
