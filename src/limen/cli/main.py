"""The ``limen`` command: names and options only. What a command does is imported when it runs, so that --help is quick."""

from pathlib import Path, PurePosixPath
from typing import Literal

import click

APP = click.argument("app", metavar="MODULE:ATTRIBUTE")


def _root_path(context: click.Context, option: click.Parameter, value: str) -> str:
    from limen.client.root_path import is_prefix

    if value and not is_prefix(value):
        raise click.BadParameter(
            f"{value!r} is no prefix: it begins with '/' and ends without, and its segments are letters, digits and - . _ ~, "
            "such as /shop"
        )
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="limen")
def main() -> None:
    """Limen, the API gateway you write in FastAPI."""


@main.command()
@APP
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--uds", type=click.Path(path_type=Path), help="Listen on this Unix socket instead.")
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="Least severity that is logged.",
)
@click.option(
    "--engine",
    default="direct",
    show_default=True,
    type=click.Choice(["direct", "asgi"]),
    help="What answers gateway routes; `limen routes` says which can be direct.",
)
@click.option(
    "--grace",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Seconds that running requests get to end at a stop.",
)
@click.option(
    "--drain-wait",
    default=0,
    show_default=True,
    type=click.IntRange(0, 3600),
    metavar="SECONDS",
    help="Before a stop, answer 503 at the readiness endpoint and serve on for so long, until load balancers have noticed.",
)
@click.option(
    "--root-path",
    default="",
    metavar="PREFIX",
    callback=_root_path,
    help="The prefix under which clients reach the gateway, where a proxy in front takes it off, such as /shop.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Serve with N processes under a supervisor: SIGHUP replaces them one by one. Without it, one process serves.",
)
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve HTTPS with this PEM certificate, its intermediates behind it; a changed file is taken up without a restart.",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Its private key, PEM, without a passphrase. Without this, the certificate's file holds both.",
)
@click.option(
    "--tls-client-ca",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask clients for certificates, and verify them against these PEM authorities.",
)
@click.option(
    "--tls-client-auth",
    default="required",
    show_default=True,
    type=click.Choice(["required", "optional"]),
    help="Whether a client without a certificate is let in; for --tls-client-ca.",
)
@click.option("--reload", is_flag=True, help="Start again when a source file changes (development).")
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that --reload watches; may be given again. The current one by default.",
)
def serve(
    app: str,
    host: str,
    port: int,
    uds: Path | None,
    log_level: str,
    engine: str,
    grace: int,
    drain_wait: int,
    root_path: str,
    workers: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tls_client_auth: str,
    reload: bool,
    watch: tuple[Path, ...],
) -> None:
    """Serve a gateway (or any ASGI application) with safe settings.

    SIGTERM or SIGINT: say that it is not ready for --drain-wait seconds, then accept nothing more, let running requests end
    for --grace seconds, exit with status 0. The next one ends the wait, and where there is none, it ends at once. Status 3:
    the application did not start.
    """
    from limen.cli.serve import Options
    from limen.cli.serve import serve as run

    options = Options(
        app,
        host,
        port,
        None if uds is None else str(uds),
        log_level,
        engine,
        grace,
        None if tls_certificate is None else str(tls_certificate),
        None if tls_key is None else str(tls_key),
        None if tls_client_ca is None else str(tls_client_ca),
        tls_client_auth,
        root_path,
        drain_wait,
    )
    run(options, workers=workers, reload=reload, watch=watch)


@main.command()
@APP
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def routes(app: str, as_json: bool) -> None:
    """List the routes: who may call, who answers, which engine serves."""
    from limen.cli.show import routes as run

    run(app, as_json=as_json)


@main.command()
@APP
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--strict", is_flag=True, help="Let warnings fail the command too.")
@click.option(
    "--ignore",
    "ignores",
    multiple=True,
    metavar="CODE@PLACE",
    help="Acknowledge a finding at a route, as in CODE@'GET /path', or at all routes of a service, as in CODE@orders; may "
    "be given again. One that matches nothing is an error.",
)
def check(app: str, as_json: bool, strict: bool, ignores: tuple[str, ...]) -> None:
    """Find what is wrong with a gateway, and say how to mend it.

    It compiles the gateway, and builds its document and every model. Status 1: there is an error (docs/check.md).
    """
    from limen.cli.check import check as run

    run(app, ignores=ignores, strict=strict, as_json=as_json)


@main.command()
@APP
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    help="How it is written; by default what the file's name says, and text without a file.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write this file as a whole."
)
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare with this file; status 1 and the difference when it is not as the rules are.",
)
def matrix(app: str, form: Literal["text", "markdown", "json"] | None, output: Path | None, check: Path | None) -> None:
    """Show who may call what: every route, every kind of caller.

    Commit what --output writes and run --check in CI: then a change of who may call what is a difference that people see.
    """
    from limen.cli.matrix import matrix as run

    run(app, form=form, output=output, check=check)


@main.group()
def keys() -> None:
    """Make, replace and list the keys that sign tokens.

    They are files of one folder, which Keys.directory(...) reads.
    """


_DIRECTORY = click.option(
    "--directory",
    default="keys",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the keys; keep it out of version control and of images.",
)
_ALGORITHMS = click.Choice(["ES256", "ES384", "EdDSA", "RS256", "HS256"])


@keys.command()
@_DIRECTORY
@click.option(
    "--algorithm",
    default="ES256",
    show_default=True,
    type=_ALGORITHMS,
    help="What it signs with. HS256 is a shared secret: there is nothing to publish, and who verifies could sign.",
)
@click.option("--if-none", is_flag=True, help="Do nothing where there are keys already: for scripts that start things.")
def new(directory: Path, algorithm: str, if_none: bool) -> None:
    """Make the first key of a folder, readable by its owner alone."""
    from limen.cli.keys import new as run

    run(directory, algorithm, if_none=if_none)


@keys.command()
@_DIRECTORY
@click.option(
    "--algorithm", type=_ALGORITHMS, help="What the new key signs with; by default what the one before it did."
)
@click.option(
    "--overlap",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, 525_600),
    metavar="MINUTES",
    help="How long the keys before it still verify. No less than the lifetime of tokens (Jwt(lifetime=), 15 minutes by "
    "default), or tokens end early; 0 for a key that others have seen, which ends all of its tokens.",
)
def rotate(directory: Path, algorithm: str | None, overlap: float) -> None:
    """Make the key that signs from now on.

    The one before it still verifies for --overlap minutes. Running gateways take the new one up by themselves, within
    seconds. Keys that ended more than a day ago are removed.
    """
    from limen.cli.keys import rotate as run

    run(directory, algorithm, overlap * 60)


@keys.command("list")
@_DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--public", is_flag=True, help="Print the JWK Set to publish instead: public halves only.")
def list_keys(directory: Path, as_json: bool, public: bool) -> None:
    """List which key signs, and until when the others verify.

    The keys themselves are never shown.
    """
    from limen.cli.keys import show as run

    run(directory, as_json=as_json, public=public)


@main.group()
def token() -> None:
    """Look at tokens that callers bring."""


@token.command()
@APP
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Read the token from this file; by default from standard input. It is never an argument, which others could see.",
)
def explain(app: str, file: Path | None) -> None:
    """Say why a gateway takes a token, or refuses it.

    Each method of the gateway and of its routes is asked; keys of outside issuers are fetched. Neither the signature nor a
    key is printed. Status 1: no method takes it.
    """
    from limen.cli.token import explain as run

    run(app, file)


@main.command()
@click.option(
    "--file",
    "-f",
    "path",
    default="limen.toml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The topology.",
)
@click.option(
    "--data",
    default=".limen/data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Working directory of the services, where SQLite files live.",
)
@click.option(
    "--port", "ports", multiple=True, metavar="NAME=PORT", help="Another port for a service; may be repeated."
)
@click.option("--reload", is_flag=True, help="Start a service again when its sources change (development).")
def up(path: Path, data: Path, ports: tuple[str, ...], reload: bool) -> None:
    """Run a whole topology on this machine until Ctrl-C."""
    from limen.cli.up import up as run

    run(path, data=data, ports=ports, reload=reload)


@main.group("new")
def make() -> None:
    """Make a service, or a whole project, that is ready to run."""


_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")


@make.command()
@click.argument("name")
@click.option("--item", help="What one row is called, such as review; by default the singular of NAME.")
@click.option(
    "--gateway",
    default="gateway",
    show_default=True,
    metavar="SERVICE",
    help="Which service of limen.toml is the gateway.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Its port under `limen up`; by default the one after those of the others.",
)
@click.option(
    "--skip",
    "skipped",
    multiple=True,
    metavar="FILE",
    help="Leave FILE as it is, where you have changed it by hand; relative to limen.toml. May be given again.",
)
@_DRY_RUN
def service(
    name: str, item: str | None, gateway: str, port: int | None, skipped: tuple[str, ...], dry_run: bool
) -> None:
    """Make the service NAME in the project around this folder.

    It has a model with its migration, routes, tests and signed identity. It gets its entry in limen.toml, its routes in the
    gateway, and its place in compose.yaml and the pages where the project has them (docs/new.md). Nothing is written unless
    all of it fits.
    """
    from limen.cli.new.service import service as run

    files = {PurePosixPath(file) for file in skipped}
    run(Path.cwd(), name, item=item, gateway=gateway, port=port, skipped=files, dry_run=dry_run)


@make.command()
@click.argument("name")
@click.option("--service", default="notes", show_default=True, help="The name of the first service.")
@click.option("--item", help="What one row of it is called; by default the singular of its name.")
@_DRY_RUN
def project(name: str, service: str, item: str | None, dry_run: bool) -> None:
    """Make the project NAME in a new folder: a gateway, one service, tests, ready to run."""
    from limen.cli.new.project import project as run

    run(Path.cwd(), name, service=service, item=item, dry_run=dry_run)
