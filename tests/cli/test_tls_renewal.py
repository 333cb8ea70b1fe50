"""``limen serve --tls-certificate`` while its certificate changes: real processes, real sockets, nothing lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from commands import request, running
from limen.cli.tls import CertificateReloader, TlsFiles
from tls_clients import TlsLoad, secured, serial, shown

SERVES = r"worker (\d+) serves"
LOADED = r"TLS: certificate for localhost"


def serve(folder: Path, port: int, pair: tuple[Path, Path], *more: str) -> Any:
    argv = ("serve", "plain:app", "--port", str(port), "--tls-certificate", str(pair[0]), "--tls-key", str(pair[1]))
    return running(folder, *argv, *more)


def replace(served: tuple[Path, Path], fresh: tuple[Path, Path]) -> None:
    """Put a new pair in the place of the one that is served, one file after the other."""
    for old, new in zip(served, fresh, strict=True):
        os.replace(new, old)


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_changed_files_are_taken_up_and_kept_connections_go_on(
    folder: Path, port: int, authority: Authority, workers: int
) -> None:
    pair = authority.pair("served")
    client = authority.client()
    async with serve(folder, port, pair, *(("--workers", str(workers)) * bool(workers))) as command:
        await command.says(SERVES if workers else "Application startup complete", times=workers or 1)
        loaded = len(await command.says(LOADED))
        async with secured(port, client) as kept:
            first = serial(kept)
            head, pid = await request(kept, "/jobs/1")
            assert head.startswith(b"http/1.1 200")
            replace(pair, authority.pair("fresh"))
            await command.says(LOADED, times=loaded + (workers or 1))
            assert {await shown(port, client) for _ in range(8)} == {second := await shown(port, client)}
            assert second != first
            assert (await request(kept, "/jobs/2"))[1] == pid
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
        assert "Traceback" not in command.text


async def test_sighup_takes_up_the_files_at_once_and_a_broken_pair_is_not_taken_up(
    folder: Path, port: int, authority: Authority
) -> None:
    pair = authority.pair("served")
    client = authority.client()
    async with serve(folder, port, pair) as command:
        await command.says("Application startup complete")
        async with secured(port, client) as kept:
            first = serial(kept)
            os.replace(authority.pair("stranger")[1], pair[1])
            command.send(signal.SIGHUP)
            (said,) = await command.says("(not renewed.*)")
            assert f"the key in {pair[1]} does not belong to the first certificate in {pair[0]}" in said
            assert await shown(port, client) == first
            replace(pair, authority.pair("fresh"))
            command.send(signal.SIGHUP)
            await command.says(LOADED, times=2)
            assert await shown(port, client) != first
            assert (await request(kept, "/jobs/2"))[0].startswith(b"http/1.1 200")
        assert "PRIVATE KEY" not in command.text
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rolling_restart_serves_the_new_certificate_and_loses_nothing(
    folder: Path, port: int, authority: Authority, workers: int
) -> None:
    pair = authority.pair("served")
    client = authority.client()
    async with serve(folder, port, pair, "--workers", str(workers)) as command:
        pids = await command.says(SERVES, times=workers)
        first = await shown(port, client)
        load = TlsLoad(port, client)
        async with load.running(keeping=4, renewing=4):
            await load.more(50)
            replace(pair, authority.pair("fresh"))
            command.send(signal.SIGHUP)
            await command.says(SERVES, times=2 * workers)
            for pid in pids:
                await command.says(f"worker {pid} ended with status 0")
            await load.more(50)
            assert {await shown(port, client) for _ in range(4)} != {first}
        assert load.lost == []
        assert "cut after" not in command.text
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


async def test_a_restart_with_a_broken_pair_is_given_up(folder: Path, port: int, authority: Authority) -> None:
    pair = authority.pair("served")
    client = authority.client()
    async with serve(folder, port, pair, "--workers", "1") as command:
        await command.says(SERVES)
        first = await shown(port, client)
        pair[1].write_text("")
        command.send(signal.SIGHUP)
        await command.says("the restart is given up")
        await command.says("holds no private key in PEM form")
        assert await shown(port, client) == first


@pytest.mark.parametrize("change", [0, 20])
async def test_nothing_is_lost_by_renewals_or_the_stop(
    folder: Path, port: int, authority: Authority, change: int
) -> None:
    pair = authority.pair("served")
    client = authority.client()
    fresh = [authority.pair(f"fresh-{number}") for number in range(change)]
    async with serve(folder, port, pair) as command:
        await command.says("Application startup complete")
        load = TlsLoad(port, client)
        async with load.running(keeping=4, renewing=6):
            await load.more(50)
            for number, one in enumerate(fresh):
                replace(pair, one)
                command.send(signal.SIGHUP)
                await command.says(LOADED, times=number + 2)
            await load.more(50)
            assert load.lost == []
            load.stopping = True
            command.send(signal.SIGTERM)
            assert await command.ends() == 0
        assert load.lost == []
        assert "cut after" not in command.text


def test_a_pair_is_taken_up_once_it_has_come_to_rest(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.pair("served")
    reloader = CertificateReloader(TlsFiles(certificate, key))
    look: Callable[[], bool] = reloader.due
    assert not look()
    os.replace(authority.pair("one")[0], certificate)
    assert not look()
    os.replace(tmp_path / "one.key", key)
    assert not look()
    assert look()
    assert reloader.load() is not None
    assert not look()
    key.unlink()
    assert [look(), look()] == [False, True]
    assert reloader.load() is None
    assert not look()  # once is enough, until something changes
