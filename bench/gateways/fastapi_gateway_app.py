"""fastapi-gateway as its documentation shows it; runs in the peers' own environment, not in the project's."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUntypedFunctionDecorator=false

import os

from fastapi import FastAPI, Request, Response
from fastapi_gateway import route

app = FastAPI()


@route(request_method=app.get, service_url=os.environ["BENCH_UPSTREAM"], gateway_path="/api/items")
async def list_items(request: Request, response: Response) -> None:
    """Forwarded by the decorator."""
