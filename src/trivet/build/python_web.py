"""The web process of a Python app: what is obvious is found; of what is not, what was looked for and what is missing."""

import re
from collections.abc import Iterable, Iterator

from trivet.build.packages import Packages
from trivet.model.build_plan import NoDefault, SourceTree
from trivet.model.frozen import frozen

_ENTRY_FILES = ("app.py", "wsgi.py", "asgi.py", "main.py", "application.py")
_SCRIPTS = ("main.py", "app.py", "server.py")
_SERVERS = {"Flask": "gunicorn", "FastAPI": "uvicorn", "Starlette": "uvicorn"}
_DJANGO = (("gunicorn", "wsgi.py"), ("uvicorn", "asgi.py"))
_ANYWHERE = "with a command that serves on 127.0.0.1:$PORT"


@frozen
class _Found:
    """An app that a file of the source has, and how it is served: ("app.py", "Flask", "gunicorn", "app:app")."""

    file: str
    framework: str
    server: str
    entry: str

    @property
    def command(self) -> str:
        return _serve(self.server, self.entry)


def default_web(tree: SourceTree, packages: Packages) -> str | None:
    """The command that serves the app, where there is one in a usual place and its server is among the packages."""
    return next((found.command for found in _obvious(tree) if found.server in packages.names), None)


def explain_no_default(tree: SourceTree, packages: Packages) -> NoDefault:
    """Why `default_web` has none, with what helps."""
    if obvious := next(_obvious(tree), None):
        return _without_server(tree, obvious)
    if elsewhere := next(_in_files(tree, _other_files(tree)), None):
        return _in_another_place(elsewhere, packages)
    framework = next((name for name in ("Django", *_SERVERS) if name.lower() in packages.names), None)
    return _unknown(tree, packages) if framework is None else _without_app(framework)


def _obvious(tree: SourceTree) -> Iterator[_Found]:
    if "manage.py" in tree.files:
        for server, name in _DJANGO:
            for path in tree.files:
                folder, _, file = path.rpartition("/")
                if folder.isidentifier() and file == name:
                    yield _Found(path, "Django", server, f"{folder}.{name.removesuffix('.py')}:application")
    yield from _in_files(tree, _ENTRY_FILES)


def _in_files(tree: SourceTree, paths: Iterable[str]) -> Iterator[_Found]:
    for path in paths:
        text = tree.read(path) or ""
        for framework, server in _SERVERS.items():
            if match := re.search(rf"^(\w+)\s*(?::[^=\n]*)?=\s*(?:\w+\.)?{framework}\(", text, re.M):
                yield _Found(path, framework, server, f"{path.removesuffix('.py').replace('/', '.')}:{match[1]}")


def _other_files(tree: SourceTree) -> Iterator[str]:
    """Modules that can be imported from the top, those at the top first."""
    modules = [path for path in tree.files if path.endswith(".py")]
    for path in sorted(modules, key=lambda path: path.count("/")):
        if all(part.isidentifier() for part in path.removesuffix(".py").split("/")):
            yield path


def _serve(server: str, entry: str) -> str:
    where = "--bind 127.0.0.1:$PORT" if server == "gunicorn" else "--host 127.0.0.1 --port $PORT"
    return f"{server} {entry} {where}"


def _without_server(tree: SourceTree, found: _Found) -> NoDefault:
    how = f"`uv add {found.server}`" if "uv.lock" in tree.files else "a line in requirements.txt"
    return NoDefault(
        f"{found.file} has a {found.framework} app, but {found.server} is not among the dependencies",
        f"Add {found.server} with {how}; then `{found.command}` is run. Or commit a file called Procfile {_ANYWHERE}.",
    )


def _in_another_place(found: _Found, packages: Packages) -> NoDefault:
    add = "" if found.server in packages.names else f"Add {found.server} to the dependencies. "
    return NoDefault(
        f"the {found.framework} app is in {found.file}, and only {_listed(_ENTRY_FILES)} are looked at",
        f"{add}Commit a file called Procfile with the line `web: {found.command}`.",
    )


def _without_app(framework: str) -> NoDefault:
    if framework == "Django":
        missing = "there is no manage.py at the top with a wsgi.py or asgi.py in a folder beside it"
        server, entry, names = "gunicorn", "YOUR_PROJECT.wsgi:application", "YOUR_PROJECT"
    else:
        missing = f"no file has a line like `app = {framework}(`"
        server, entry, names = _SERVERS[framework], "YOUR_MODULE:app", "YOUR_MODULE and app"
    return NoDefault(
        f"{framework} is among the dependencies, but {missing}",
        f"Commit a file called Procfile with a line like `web: {_serve(server, entry)}`, with your names for {names}.",
    )


def _unknown(tree: SourceTree, packages: Packages) -> NoDefault:
    server = next((server for server in ("gunicorn", "uvicorn") if server in packages.names), None)
    script = next((name for name in _SCRIPTS if name in tree.files), "YOUR_FILE.py")
    example = _serve(server, "YOUR_MODULE:app") if server else f"python {script}"
    return NoDefault(
        f"neither {_listed(('Django', *_SERVERS), 'nor')} is among the dependencies",
        f"Commit a file called Procfile {_ANYWHERE}, for example `web: {example}`.",
    )


def _listed(names: tuple[str, ...], last: str = "and") -> str:
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
