"""Start: how a Node app is obviously started, and whether it is a site of files instead, which needs no Node to be served."""

import re

from trivet.build.node.package import FILE, Package, read_package
from trivet.model.build_plan import NoDefault, SourceTree
from trivet.model.frozen import frozen

_SCRIPT = "start"
_ENTRY_FILES = (
    "server.js",
    "server.mjs",
    "server.cjs",
    "index.js",
    "index.mjs",
    "index.cjs",
    "app.js",
    "app.mjs",
    "main.js",
)
# Start scripts that are for the developer's own machine: they serve what the build script would write.
_DEVELOPMENT_SERVER = re.compile(
    r"(?:npx\s+)?(?:vite(?!\s+preview)(?:\s|$)|vitepress dev|astro (?:dev|start)|react-scripts start|parcel(?! build)\b"
    r"|(?:@11ty/)?eleventy\b.*--serve|gatsby (?:develop|serve)|vue-cli-service serve|ng serve|docusaurus start"
    r"|webpack(?:-dev-server| serve)|gridsome develop|hexo s|live-server|browser-sync|http-server|serve(?:\s|$))"
)
_NEEDS_NPM = re.compile(r"\$\{?npm_|\bINIT_CWD\b")


@frozen
class Kind:
    """What a source with a package.json is: `web` its command if one is obvious, `is_site` if a build makes or has files."""

    web: str | None = None
    is_site: bool = False


def read_kind(tree: SourceTree) -> Kind:
    """What the source is. Raises: InvalidFile."""
    package = read_package(tree)
    start = package.scripts.get(_SCRIPT, "").strip()
    if start and not _DEVELOPMENT_SERVER.match(start):
        return Kind(web=_start_command(package, start))
    if entry := _entry(tree, package):
        return Kind(web=f"node {entry}")
    return Kind(is_site="Procfile" not in tree.files and (has_build_script(package) or _has_pages(tree)))


def has_build_script(package: Package) -> bool:
    """Whether there is a script called `build`."""
    return bool(package.scripts.get("build", "").strip())


def explain_no_default(tree: SourceTree) -> NoDefault:
    """Why nothing is obvious, and what to do."""
    entries = [path for path in tree.files if path.endswith((".js", ".mjs", ".cjs")) and path.count("/") < 2]
    example = entries[0] if entries else "YOUR-FILE.js"
    return NoDefault(
        "package.json has no start script, and neither its `main` nor server.js or index.js is there",
        f'Add a start script to package.json ("start": "node {example}"), or commit a file called Procfile with the line '
        f"`web: node {example}`.",
    )


def _start_command(package: Package, start: str) -> str:
    """The script itself, so that the main process is the server and not npm, which would keep SIGTERM to itself."""
    if {"prestart", "poststart"} & set(package.scripts) or _NEEDS_NPM.search(start) or "\n" in start:
        return "npm start"
    return start


def _entry(tree: SourceTree, package: Package) -> str | None:
    main = package.data.get("main")
    named = (main.removeprefix("./"), f"{main.removeprefix('./')}.js") if isinstance(main, str) else ()
    found = next((path for path in named if path in tree.files), None)
    if found or has_build_script(package):  # beside a build script, an index.js is as likely its input
        return found
    return next((path for path in _ENTRY_FILES if path in tree.files), None)


def _has_pages(tree: SourceTree) -> bool:
    return "index.html" in tree.files or any(path.startswith("public/") for path in tree.files)


def has_package(tree: SourceTree) -> bool:
    """Whether there is a package.json at the top."""
    return FILE in tree.files
