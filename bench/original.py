"""What gateways of the first generation do for each request, for comparison: a FastAPI path operation that opens a new
client, sends a JSON body with every GET, decodes the answer and lets FastAPI check and encode it again.

Written for this comparison; it shares no code with any of them. The client is aiohttp, a session per request.
"""

import os
from datetime import datetime

import aiohttp
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

URL = os.environ["SUPPLIERS_SERVICE_URL"]

app = FastAPI()


class Supplier(BaseModel):
    """A supplier."""

    id: int
    name: str
    surname: str
    address: str
    created_by: int
    created_at: datetime


@app.get("/api/suppliers", response_model=list[Supplier])
async def list_suppliers(request: Request, response: Response) -> object:
    """Fetch, decode, and let FastAPI do the rest."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=59)) as session,
        session.request(request.method, URL + request.url.path, json={}) as answer,
    ):
        response.status_code = answer.status
        decoded: object = await answer.json()
        return decoded
