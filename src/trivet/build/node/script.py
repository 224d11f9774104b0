"""Build scripts: what a package.json calls `build`, and the pages that it writes for a site."""

import re
from collections.abc import Mapping, Sequence

from trivet.build.node.package import DEVELOPMENT, PRODUCTION, Package
from trivet.build.steps import APP
from trivet.model.build_plan import NODE, NPM, Step, literal

_FIRST_NEXT_WITH_TURBOPACK = 16
_CACHES = (".next/cache", ".nuxt/cache", ".parcel-cache", ".turbo", ".angular/cache", ".cache")
OUTPUTS = ("dist", "build", "_site", "out", "public")

# The pages end up in public/, which is what is served; what was there (a generator's input) gives way to them.
_GATHER = """
for folder do
  [ -L "$folder" ] && continue
  if [ -f "$folder/index.html" ]; then
    [ "$folder" = public ] && exit 0
    mv -- "$folder" .trivet-output && rm -rf public && mv .trivet-output public
    exit
  fi
done
exit 1
"""


def build_script(environment: Mapping[str, str]) -> tuple[Step, ...]:
    """The script called `build` has run, and left no cache for a next time that never comes."""
    run = Step(
        "running the build script of package.json",
        (NODE, NPM, "run", "build"),
        directory=APP,
        environment=environment,
        hint="It sees no config: what must be set for the build goes into trivet.toml, [build.environment]. "
        "It has no network, and cannot change packages in node_modules.",
    )
    return run, Step("removing caches", ("rm", "-rf", "--", *_CACHES), directory=APP)


def needs_copies(packages: Sequence[Package]) -> bool:
    """Whether a build script uses Turbopack, as Next does from 16 on: it reads no file outside of the app's folder.

    https://nextjs.org/docs/app/api-reference/config/next-config-js/turbopack#root-directory
    """
    for package in packages:
        asked = package.dependencies(*PRODUCTION, DEVELOPMENT).get("next")
        script = package.scripts.get("build", "")
        if asked is None or "--webpack" in script:
            continue
        major = re.search(r"\d+", asked)
        if "--turbo" in script or major is None or int(major[0]) >= _FIRST_NEXT_WITH_TURBOPACK:
            return True
    return False


def gather_pages(output: str | None) -> Step:
    """The output folder is `public`: the one that is named, else the first with an index.html."""
    looked_at = (output,) if output else OUTPUTS
    named = ", ".join(f"{name}/" for name in looked_at)
    return Step(
        "gathering the pages",
        ("/bin/sh", "-c", _GATHER, "sh", *(literal(name) for name in looked_at)),
        directory=APP,
        hint='Say in trivet.toml where the pages are: [build] output = "FOLDER". If the app has a server of its own, '
        'give package.json a start script ("start": "node server.js") or commit a Procfile.',
        finding=f"The build script left no page to serve: there is no index.html in {named}.",
    )
