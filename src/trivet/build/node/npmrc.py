"""The package managers' settings that an app brings: those that say which packages are installed and where from are heeded.

Fetching has the network and must run no code of the app, and a settings file can name programs to run (script-shell, git,
a pnpmfile, yarnPath, plugins). So what is not known to be harmless is left out, and the person is told.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from trivet.build.node.manager import Kind
from trivet.build.node.package import WORKSPACE_FILE
from trivet.build.node.text import read_yaml, write_yaml
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen

_NPMRC = ".npmrc"
_YARNRC = ".yarnrc"
_YARNRC_YAML = ".yarnrc.yml"

_HEEDED = re.compile(
    r"registry|@[^:]+:registry|//\S+:(?:_authToken|_auth|_password|username|email|always-auth)|always-auth|strict-ssl"
    r"|legacy-peer-deps|strict-peer-deps|install-strategy|install-links|legacy-bundling|global-style|prefer-dedupe"
    r"|os|cpu|libc|hoist|hoist-pattern(?:\[\])?|public-hoist-pattern(?:\[\])?|shamefully-hoist|node-linker"
    r"|auto-install-peers|strict-peer-dependencies|dedupe-peer-dependents|resolve-peers-from-workspace-root"
    r"|link-workspace-packages|prefer-workspace-packages|shared-workspace-lockfile|inject-workspace-packages"
    r"|resolution-mode|modules-cache-max-age|fetch-\S+|network-\S+|maxsockets"
)
# Of no consequence here: what they ask for is decided by Trivet, or concerns commands that no build runs.
_SILENT = re.compile(
    r"engine-strict|package-lock|lockfile|save|save-exact|save-prefix|save-\S+|fund|audit|audit-level|loglevel|progress|color"
    r"|update-notifier|ignore-scripts|enable-pre-post-scripts|package-manager-strict\S*|init-\S+|message|tag\S*|access"
    r"|provenance|prefer-offline|frozen-lockfile|prefer-frozen-lockfile|min-release-age|minimum-release-age"
)
_PNPM_HEEDED = frozenset(
    {
        *(
            "packages",
            "catalog",
            "catalogs",
            "overrides",
            "patchedDependencies",
            "packageExtensions",
            "peerDependencyRules",
        ),
        *(
            "allowedDeprecatedVersions",
            "ignoredOptionalDependencies",
            "supportedArchitectures",
            "hoist",
            "hoistPattern",
        ),
        *("publicHoistPattern", "shamefullyHoist", "hoistWorkspacePackages", "nodeLinker", "autoInstallPeers"),
        *("strictPeerDependencies", "dedupePeerDependents", "dedupeDirectDeps", "dedupeInjectedDeps"),
        *("resolvePeersFromWorkspaceRoot", "resolutionMode", "linkWorkspacePackages", "preferWorkspacePackages"),
        *("sharedWorkspaceLockfile", "injectWorkspacePackages", "excludeLinksFromLockfile", "peersSuffixMaxLength"),
    }
)
_PNPM_SILENT = frozenset(
    {
        *(
            "onlyBuiltDependencies",
            "neverBuiltDependencies",
            "ignoredBuiltDependencies",
            "allowBuilds",
            "strictDepBuilds",
        ),
        *("minimumReleaseAge", "minimumReleaseAgeExclude", "catalogMode", "savePrefix", "saveExact", "engineStrict"),
        *("cleanupUnusedCatalogs", "trustPolicy", "blockExoticSubdeps", "updateConfig", "auditConfig"),
    }
)
_YARN_HEEDED = frozenset(
    {
        *("npmRegistryServer", "npmScopes", "npmRegistries", "npmAlwaysAuth", "npmAuthToken", "npmAuthIdent"),
        *("nmHoistingLimits", "packageExtensions", "supportedArchitectures", "compressionLevel", "checksumBehavior"),
        *("defaultProtocol", "unsafeHttpWhitelist", "enableStrictSsl", "catalog", "catalogs", "cacheMigrationMode"),
    }
)
_YARN_SILENT = frozenset(
    {
        *("yarnPath", "nodeLinker", "nmMode", "enableGlobalCache", "enableTelemetry", "enableScripts", "cacheFolder"),
        *(
            "logFilters",
            "enableProgressBars",
            "defaultSemverRangePrefix",
            "changesetIgnorePatterns",
            "npmMinimalAgeGate",
        ),
        *(
            "enableImmutableInstalls",
            "enableInlineBuilds",
            "enableMessageNames",
            "preferInteractive",
            "tsEnableAutoTypes",
        ),
    }
)


@frozen
class Heeded:
    """Settings files as they are given to the package manager, by path; and what was left out, as `file: setting`."""

    files: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def read_settings(tree: SourceTree, kind: Kind) -> Heeded:
    """What the app's settings for its package manager come down to. Raises: InvalidFile."""
    files: dict[str, str] = {}
    left_out: list[str] = []
    readers: dict[str, Callable[[SourceTree, str], tuple[str, list[str]]]] = {_NPMRC: _read_npmrc}
    match kind:
        case Kind.PNPM:
            readers[WORKSPACE_FILE] = _read_pnpm
        case Kind.YARN_CLASSIC:
            readers[_YARNRC] = _read_yarnrc
        case Kind.YARN:
            readers = {_YARNRC_YAML: _read_yarn}
        case Kind.NPM:
            pass
    for name, reader in readers.items():
        if name in tree.files:
            files[name], ignored = reader(tree, name)
            left_out += [f"{name}: {setting}" for setting in ignored]
    return Heeded(files, tuple(left_out))


def keep_pnpm(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of pnpm's settings, those that are heeded."""
    return {name: value for name, value in settings.items() if name in _PNPM_HEEDED}


def _read_npmrc(tree: SourceTree, path: str) -> tuple[str, list[str]]:
    """The ini file, line by line. https://docs.npmjs.com/cli/configuring-npm/npmrc"""
    kept, left_out = [], []
    for raw in (tree.read(path) or "").removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        name = line.partition("=")[0].strip().strip("\"'")
        if _HEEDED.fullmatch(name):
            kept.append(line)
        elif not _SILENT.fullmatch(name):
            left_out.append(name)
    return "".join(f"{line}\n" for line in kept), left_out


def _read_yarnrc(tree: SourceTree, path: str) -> tuple[str, list[str]]:
    """https://classic.yarnpkg.com/docs/yarnrc"""
    kept, left_out = [], []
    for raw in (tree.read(path) or "").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name = line.split()[0].strip('"')
        if re.fullmatch(r"registry|@[^:]+:registry|network-timeout", name):
            kept.append(line)
        elif name not in ("yarn-path", "lastUpdateCheck") and not name.startswith("--"):
            left_out.append(name)
    return "".join(f"{line}\n" for line in kept), left_out


def _read_pnpm(tree: SourceTree, path: str) -> tuple[str, list[str]]:
    data = read_yaml(tree, path)
    return write_yaml(keep_pnpm(data)), sorted(set(data) - _PNPM_HEEDED - _PNPM_SILENT)


def _read_yarn(tree: SourceTree, path: str) -> tuple[str, list[str]]:
    data = read_yaml(tree, path)
    kept = {name: value for name, value in data.items() if name in _YARN_HEEDED}
    return write_yaml(kept), sorted(set(data) - _YARN_HEEDED - _YARN_SILENT)
