"""``limen new service``.

1. find the project, and check the names
2. plan the service's folder, from the templates
3. plan what the project has to know of it: limen.toml, the gateway, compose.yaml, the pages
4. try the gateway as it would be (``trial``)
5. write all of it, or nothing, and say what to do next
"""

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import click

from limen.cli.new import edit_like, edit_python, edit_toml, report
from limen.cli.new.plan import Plan
from limen.cli.new.surroundings import TOPOLOGY, Surroundings
from limen.cli.new.templates import install_from_wheels, install_from_workspace, rendered, words_of_templates
from limen.cli.new.trial import tried
from limen.cli.new.words import NameRefused, Words

# What the routes of a new service use of the gateway's package, by module.
_SHARED = {
    "fields.py": ("LongText", "ShortText", "row_id"),
    "headers.py": ("IdempotencyKey", "IfMatch", "IfNoneMatch"),
    "models.py": ("Form", "Page"),
    "responses.py": (
        *("CHANGED_SINCE", "ETAG", "REPLAYED", "TOTAL_COUNT"),
        *("conditional", "errors", "location", "success"),
    ),
}
_ACCESS_HEADING = "# Who may call what\n\nMade by `limen matrix`"
_WORKSPACE = "\n[tool.uv.sources]\nlimen-kit = { workspace = true }\n"


def service(
    start: Path,
    name: str,
    *,
    item: str | None,
    gateway: str,
    port: int | None,
    skipped: Collection[PurePosixPath],
    dry_run: bool,
) -> None:
    """Make the service ``name`` in the project around ``start``; with ``dry_run`` say only what would be written.

    ``skipped`` are files that would be changed, and that somebody has changed by hand.
    """
    project = Surroundings.find(start, gateway)
    if name in project.services and PurePosixPath(TOPOLOGY) not in skipped:
        raise click.ClickException(f"{project.root / TOPOLOGY} has a service {name} already; choose another name")
    try:
        words = Words.of(name, item, words_of_templates())
    except NameRefused as error:
        raise click.ClickException(str(error)) from error
    plan = planned(project, words, port, skipped)
    plan.check()
    access = _access_page(plan)
    page = tried(plan, project, with_matrix=access is not None)
    if access is not None:
        plan.edit(access, "who may call it", lambda text: edit_like.add_to_access_page(text, page, name))
    if not dry_run:
        plan.write()
    report.show(plan, dry_run=dry_run, next_steps=_next_steps(project, words))


def planned(
    project: Surroundings, words: Words, port: int | None = None, skipped: Collection[PurePosixPath] = ()
) -> Plan:
    """Plan everything that can be known without running the gateway; what does not fit is refused in the plan."""
    plan = Plan(project.root, skipped)
    name = words.name
    if name in project.services:  # by hand
        port = project.services[name].port
    elif port is None:
        port = project.free_port()
    elif other := next((target.name for target in project.layout.all_targets() if target.port == port), None):
        plan.refuse(f"--port {port} is also that of {other}; choose another, or leave it out")
    in_workspace = project.kit_is_in_the_workspace()
    root = "/".join(".." for _ in project.folder(name).parts)
    substitutes = words.substitutes() | {
        "package": project.package(name),
        "gateway": project.gateway_package,
        "distribution": project.distribution(name),
        "port": str(port),
        "install": install_from_workspace(root) if in_workspace else install_from_wheels(root),
        "workspace": _WORKSPACE if in_workspace else "",
    }
    files = rendered("service", substitutes)
    model = project.model(files[PurePosixPath("pyproject.toml")])
    plan.create(files, project.folder(name))
    if model is not None:
        _follow(plan, project, model, name)
    _plan_topology(plan, project, name, port, model)
    _plan_gateway(plan, project, words, substitutes)
    _plan_containers(plan, model, name)
    _plan_pages(plan, project, words, model, port)
    return plan


def _follow(plan: Plan, project: Surroundings, model: str, name: str) -> None:
    """Plan what the service ``model`` has besides the templates, as it has it: how it is built."""
    for file in ("Dockerfile", "requirements.lock"):
        path = project.root / project.folder(model) / file
        if path.is_file():
            text = edit_like.renamed(path.read_text(encoding="utf-8"), model, name)
            plan.create({PurePosixPath(file): text}, project.folder(name))


def _plan_topology(plan: Plan, project: Surroundings, name: str, port: int, model: str | None) -> None:
    package = project.package(name)
    entry = f"""[services.{name}]
app = "{package}.app:app"
port = {port}
dir = "{project.folder(name)}/src"
before = ["python -m limen_kit migrate {package}.database"]
health = "/readyz"
env = {{ IDENTITY_KEYS = "{project.identity_keys(model)}" }}
"""
    plan.edit(
        PurePosixPath(TOPOLOGY),
        f"its process on port {port}, and its address for the gateway",
        lambda text: edit_toml.add_service(
            text, name, entry, gateway=project.gateway, variable=f"{name.upper()}_SERVICE_URL", beside=model
        ),
    )
    requirements = PurePosixPath("requirements.txt")
    beside = f"-e ./{project.folder(project.gateway)}"
    if plan.exists(requirements) and beside in plan.text(requirements).splitlines():
        plan.edit(requirements, "its folder", lambda text: f"{text.rstrip()}\n-e ./{project.folder(name)}\n")


def _plan_gateway(plan: Plan, project: Surroundings, words: Words, substitutes: Mapping[str, str]) -> None:
    sources = project.gateway_sources
    shared = rendered("gateway", {**substitutes, "package": project.gateway_package, "Project": "", "project": ""})
    for file, names in _SHARED.items():
        path = sources / file
        if not plan.exists(path):
            text = shared[PurePosixPath("src", project.gateway_package, file)]
            plan.create({PurePosixPath(file): text}, sources)
        elif missing := edit_python.missing_names(plan.text(path), names):
            plan.refuse(
                f"{path} has no {', '.join(missing)}, which the routes of every new service use; define them, as a "
                "gateway of `limen new project` does"
            )
    plan.create(rendered("routes", substitutes), sources / "routes")
    package = f"{project.gateway_package}.routes"
    title = f"{words.name.capitalize()}, which anyone may read."
    plan.edit(
        _declaring_module(plan, project),
        "its routes",
        lambda text: edit_python.add_routes(text, words.name, package=package, title=title),
    )
    plan.edit(sources / "settings.py", "its address", lambda text: edit_python.add_setting(text, words.name))


def _declaring_module(plan: Plan, project: Surroundings) -> PurePosixPath:
    """Return the module of the gateway that declares the routes of services; that of its application if none does."""
    app = PurePosixPath(*project.gateway_app.partition(":")[0].split(".")).with_suffix(".py")
    first = project.gateway_dir / app
    others = sorted((project.root / project.gateway_sources).glob("*.py"))
    for path in (first, *(project.gateway_sources / other.name for other in others)):
        if plan.exists(path) and edit_python.declares(plan.text(path)):
            return path
    return first


def _plan_containers(plan: Plan, model: str | None, name: str) -> None:
    compose = PurePosixPath("compose.yaml")
    if not plan.exists(compose):
        return
    plan.edit(
        compose, "its container, network, volume and database", lambda text: edit_like.add_to_compose(text, model, name)
    )


def _plan_pages(plan: Plan, project: Surroundings, words: Words, model: str | None, port: int) -> None:
    plan.edit_if_there(
        PurePosixPath("README.md"), "its routes", lambda text: edit_like.add_to_routes_table(text, _routes(words))
    )
    if model is not None:
        ports = project.services[model].port, port
        for page in (*_pages(plan), project.folder(project.gateway) / "README.md"):
            plan.edit_if_there(page, "its settings", lambda text: edit_like.add_to_page(text, model, words.name, ports))


def _routes(words: Words) -> list[tuple[str, str, str, str]]:
    path, one = f"`/api/{words.name}`", f"`/api/{words.name}/{{{words.item}_id}}`"
    rules = {
        ("GET", path): "anyone",
        ("POST", path): "any user",
        ("GET", one): "anyone",
        ("PUT", one): "any user; the creator, or an admin",
        ("DELETE", one): "any user; the creator, or an admin",
    }
    return [(method, path, words.name, who) for (method, path), who in rules.items()]


def _pages(plan: Plan) -> list[PurePosixPath]:
    """Return the pages of the project: README.md, and those in docs, without its decisions, which stay as they were made."""
    found = [plan.root / "README.md", *sorted((plan.root / "docs").glob("*.md"))]
    return [PurePosixPath(path.relative_to(plan.root).as_posix()) for path in found if path.is_file()]


def _access_page(plan: Plan) -> PurePosixPath | None:
    return next((page for page in _pages(plan) if plan.text(page).startswith(_ACCESS_HEADING)), None)


def _next_steps(project: Surroundings, words: Words) -> dict[str, str]:
    """Return the commands to run next, each with what it does."""
    makefile = project.root / "Makefile"
    folder = project.folder(words.name)
    if makefile.is_file() and "\nup:" in makefile.read_text(encoding="utf-8"):
        return {"make up": "installs it, and starts everything", "make test": "its tests among all others"}
    steps = {"pip install -r requirements.txt": "installs it"}
    if not (project.root / "requirements.txt").is_file():
        steps = {f"pip install -e {folder}": "installs it"}
    return steps | {
        "limen up": "starts everything",
        f"python -m pytest {folder}": "runs its tests",
    }
