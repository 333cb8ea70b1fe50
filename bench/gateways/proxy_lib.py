"""fastapi-proxy-lib as its documentation shows it; runs in the peers' own environment, not in the project's."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import os

from fastapi_proxy_lib.fastapi.app import reverse_http_app

app = reverse_http_app(base_url=os.environ["BENCH_UPSTREAM"] + "/")
