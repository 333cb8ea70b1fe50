"""``limen serve --reload`` as real processes: what a save does, and that a stop leaves nothing behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from commands import connected, get, request, running
from reloading import FAILS, RESTARTS, SERVES, WAITS, children, gone, halted, problem, reloading, save, says


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, "first")
    return tmp_path


async def test_one_save_is_one_restart(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(f"{SERVES}; watches {folder}")
        _, before = await says(port)
        save(folder, "second")
        await command.says(f"{SERVES} again after [0-9.]+ s")
        word, now = await says(port)
        assert word == "second"
        assert now != before
        await gone({before})
        assert await command.says(RESTARTS) == ["app.py"]


@pytest.mark.processes_measured
async def test_a_burst_of_saves_is_one_restart(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        with halted(command.process.pid):  # else this machine may take longer over the saves than a burst may
            for number in range(20):
                save(folder, f"number{number}")
                (folder / f"other{number}.py").write_text("")
        await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "number19"
        save(folder, "last")
        await command.says(f"{SERVES} again", times=2)
        assert await command.says(RESTARTS) == ["app.py, other0.py and 19 more", "app.py"]
        assert command.text.count("Started server process") == 3


async def test_a_change_of_no_source_restarts_nothing(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        for name in (
            ".venv/lib/a.py",
            ".git/b.py",
            ".limen/data/c.py",
            "__pycache__/d.py",
            ".#app.py",
            "e.txt",
            "f.toml",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
        (folder / ".env").write_text("A=1")
        await command.says(f"{SERVES} again")
        assert await command.says(RESTARTS) == [".env"]


async def test_a_link_that_leads_elsewhere_is_a_change(folder: Path, port: int) -> None:
    """As Kubernetes replaces what it mounts: the link ``..data`` is renamed over the one before, the files stay links."""
    when = (folder / "app.py").stat().st_mtime_ns
    for word in ("old", "new"):  # of one length, and of one second: to Python they are the same file
        (folder / f"..{word}").mkdir()
        save(folder / f"..{word}", word)
        os.utime(folder / f"..{word}" / "app.py", ns=(when, when))
    (folder / "..data").symlink_to("..old")
    (folder / "app.py").unlink()
    (folder / "app.py").symlink_to("..data/app.py")
    async with reloading(folder, port, PYTHONDONTWRITEBYTECODE="") as command:
        await command.says(SERVES)
        assert (await says(port))[0] == "old"
        (folder / "..next").symlink_to("..new")
        (folder / "..next").rename(folder / "..data")
        await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "new"


async def test_two_saves_within_a_second_are_two(folder: Path, port: int) -> None:
    """To Python a file of the same length and second of change is the one that it has compiled."""
    app = folder / "app.py"
    async with reloading(folder, port, PYTHONDONTWRITEBYTECODE="") as command:
        await command.says(SERVES)
        when = app.stat().st_mtime_ns
        save(folder, "later")
        os.utime(app, ns=(when, when))
        await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "later"


async def test_a_save_while_it_starts_is_not_lost(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        save(folder, "slow", "print('importing', flush=True)\nimport time\ntime.sleep(3600)\n")
        await command.says("importing")
        save(folder, "quick")
        await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "quick"


async def test_a_save_while_it_starts_first_is_not_lost(folder: Path, port: int) -> None:
    save(folder, "slow", "print('importing', flush=True)\nimport time\ntime.sleep(3600)\n")
    async with reloading(folder, port) as command:
        await command.says("importing")
        save(folder, "quick")
        await command.says(SERVES)
        assert (await says(port))[0] == "quick"


async def test_a_request_during_a_restart_is_answered_by_the_new_code(folder: Path, port: int) -> None:
    """The new code waits for a file until the request is under way, thus surely before it serves."""
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        save(folder, "second", WAITS)
        await command.says("importing")
        async with connected(port) as streams:
            answer = asyncio.create_task(request(streams, "/"))
            await asyncio.sleep(0)
            (folder / "go").touch()
            head, content = await answer
        assert head.startswith(b"http/1.1 200 ")
        assert content.startswith(b"second ")


async def test_a_kept_connection_is_not_answered_by_the_old_code(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        async with connected(port) as kept:
            await request(kept, "/")
            save(folder, "second")
            assert await kept[0].read() == b""
            assert (await says(port))[0] == "second"


async def test_a_request_that_does_not_end_holds_up_a_restart_for_a_while_only(folder: Path, port: int) -> None:
    async with reloading(folder, port, "--grace", "3600") as command:
        await command.says(SERVES)
        async with connected(port) as stuck:
            stuck[1].write(b"GET /stuck HTTP/1.1\r\nhost: g\r\n\r\n")
            await stuck[1].drain()
            save(folder, "second")
            await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "second"


@pytest.mark.processes_measured
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("broken", [False, True], ids=["serving", "broken"])
async def test_a_stop_leaves_nothing(folder: Path, port: int, number: int, broken: bool) -> None:
    if broken:
        save(folder, "", "1 / 0\n")
    async with reloading(folder, port) as command:
        await command.says(FAILS if broken else SERVES)
        started = children(command.process.pid)
        command.send(number)
        assert await command.ends() == 0
        await gone(started)
    assert "Traceback" not in command.text
    socket.create_server(("127.0.0.1", port)).close()


async def test_a_second_signal_does_not_wait(folder: Path, port: int) -> None:
    save(
        folder,
        "deaf",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile 1: pass\n",
    )
    async with reloading(folder, port) as command:
        await command.says("deaf")
        started = children(command.process.pid)
        command.send(signal.SIGINT)
        command.send(signal.SIGINT)
        assert await command.ends() == 0
        await gone(started)


@pytest.mark.parametrize(
    "more", ["", "print('imports', flush=True)\nimport time\nwhile True: time.sleep(1)\n"], ids=["serving", "importing"]
)
async def test_a_killed_supervisor_leaves_nothing(folder: Path, port: int, more: str) -> None:
    save(folder, "first", more)
    async with reloading(folder, port) as command:
        await command.says("imports" if more else SERVES)
        while len(started := children(command.process.pid)) < (1 if more else 2):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)  # the one that waits is started once the other serves
        os.kill(command.process.pid, signal.SIGKILL)
        await gone(started)
        assert await command.ends() == -signal.SIGKILL


async def test_processes_of_the_application_end_with_it(folder: Path, port: int) -> None:
    sleeps = "import time\nwhile True: time.sleep(9)"
    program = f"import subprocess, sys\none = subprocess.Popen([sys.executable, '-c', {sleeps!r}])\n"
    program += "print('began', one.pid, flush=True)\n"
    save(folder, "first", program)
    async with reloading(folder, port) as command:
        (process,) = await command.says(r"began (\d+)")
        await command.says(SERVES)
        save(folder, "second")
        await command.says(f"{SERVES} again")
        await gone({int(process)})


@pytest.mark.processes_measured
async def test_a_worker_that_dies_is_told_and_comes_again(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        with pytest.raises(ConnectionError):
            await get(port, "/die")
        await command.says(FAILS)
        assert "the worker ended with status 7" in (await problem(port))["detail"]
        save(folder, "second")
        await command.says(f"{SERVES} again")
        assert (await says(port))[0] == "second"


async def test_a_change_of_a_module_of_the_next_worker_counts_too(folder: Path, port: int) -> None:
    """Python imports sitecustomize before all else: in the supervisor, in the worker that serves, in the one that waits."""
    site = folder / "sitecustomize.py"
    site.write_text("import os\nprint('customized', flush=True)\nos.environ['SITE'] = 'old'\n")
    save(folder, "first", "import os\nprint('site is', os.environ['SITE'], flush=True)\n")
    argv = ("serve", "app:app", "--port", str(port), "--reload")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    async with running(folder, *argv, PYTHONPATH=path) as command:
        await command.says("site is old")
        await command.says(SERVES)
        await command.says("customized", times=3)
        site.write_text("import os\nos.environ['SITE'] = 'new'\n")
        await command.says(f"{SERVES} again")
        assert await command.says("site is (.*)", times=2) == ["old", "new"]


async def test_a_worker_that_leaves_a_fork_behind_has_ended(folder: Path, port: int) -> None:
    """The fork holds all that the worker held, and says nothing."""
    save(folder, "first", "import os, time\nif os.fork() == 0:\n    time.sleep(3600)\nos._exit(5)\n")
    async with reloading(folder, port) as command:
        await command.says("the worker ended with status 5 before it served")
        assert (await problem(port))["code"] == "startup_failed"


async def test_watch_without_reload_is_refused(folder: Path) -> None:
    async with running(folder, "serve", "app:app", "--watch", ".") as command:
        assert await command.ends() == 2
    assert "--watch says what --reload watches" in command.text


async def test_a_failure_that_no_save_can_mend_ends_the_command(folder: Path, port: int) -> None:
    for spec, said in (("nowhere:app", "there is no module 'nowhere'"), ("app", "write module:attribute")):
        async with running(folder, "serve", spec, "--port", str(port), "--reload") as command:
            assert await command.ends() in (1, 2)
        assert said in command.text
        assert "Traceback" not in command.text


def test_the_file_watcher_is_imported_for_reload_alone() -> None:
    imports = "import sys, limen.cli.serve, limen.cli.worker, limen.cli.up"
    program = f"{imports}; sys.exit('limen.cli.source_changes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=50).returncode == 0
