"""Domains: names by which deploys are reached from outside, and what Caddy's config has to say for them. Pure.

Caddy's config: https://caddyserver.com/docs/json/ ("@id" marks what is ours; automatic HTTPS follows from the hosts of routes).
"""

import copy
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from trivet.errors import InvalidName
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.run import Address

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST = 253
_OURS = "trivet-"
_SERVER = "trivet"
_HTTPS_PORT = 443
_ANY = ("0.0.0.0", "::", "")


class Certificate(StrEnum):
    """Who signs it. AUTO: a public authority, by itself. INTERNAL: Caddy's own, for machines that nobody reaches."""

    AUTO = "auto"
    INTERNAL = "internal"


@frozen
class Domain:
    """A name, the deploy that it leads to, and who signs its certificate."""

    name: str
    app: AppName
    deploy_name: DeployName
    certificate: Certificate = Certificate.AUTO

    @property
    def deploy(self) -> Deploy:
        return Deploy(self.app, self.deploy_name)


def parse_domain(text: str) -> str:
    """The domain in lower case, other scripts as in the DNS (`xn--…`); `*.` may begin it. Raises: InvalidName."""
    try:
        name = text.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    labels = name.removeprefix("*.").split(".")
    if len(name) > _LONGEST or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise InvalidName(
            f"{text!r} is not a domain.",
            hint="Write it without http:// and without a path: trivet domains add example.org",
        )
    return name


def arrange(config: Mapping[str, Any] | None, wanted: Iterable[tuple[Domain, Address]]) -> dict[str, Any]:
    """The config with our domains as they are to be, and all that is not ours as it was; None is an empty one."""
    arranged: dict[str, Any] = copy.deepcopy(dict(config or {}))
    chosen = sorted(wanted, key=lambda each: each[0].name)
    _forget(arranged)
    if not chosen:
        return arranged
    http = arranged.setdefault("apps", {}).setdefault("http", {})
    routes = _server(http).setdefault("routes", [])
    routes[:0] = [_route(domain, address) for domain, address in chosen]
    internal = [domain.name for domain, _ in chosen if domain.certificate is Certificate.INTERNAL]
    if internal:
        _sign_ourselves(arranged, internal)
    return arranged


def _forget(config: dict[str, Any]) -> None:
    apps = config.get("apps") or {}
    servers = (apps.get("http") or {}).get("servers") or {}
    for server in servers.values():
        if server.get("routes"):
            server["routes"] = [route for route in server["routes"] if not _is_ours(route)]
    if _SERVER in servers and not servers[_SERVER].get("routes"):
        del servers[_SERVER]
    automation = (apps.get("tls") or {}).get("automation") or {}
    if automation.get("policies"):
        automation["policies"] = [policy for policy in automation["policies"] if not _is_ours(policy)]


def _is_ours(part: Mapping[str, Any]) -> bool:
    return str(part.get("@id", "")).startswith(_OURS)


def _server(http: dict[str, Any]) -> dict[str, Any]:
    """The server for HTTPS: one that is there already, since two cannot listen on one port, else one of our own."""
    servers: dict[str, dict[str, Any]] = http.setdefault("servers", {})
    end = f":{http.get('https_port', _HTTPS_PORT)}"
    listening = (server for server in servers.values() if any(one.endswith(end) for one in server.get("listen", ())))
    return next(listening, None) or servers.setdefault(_SERVER, {"listen": [end]})


def _route(domain: Domain, address: Address) -> dict[str, Any]:
    host = "127.0.0.1" if address.host in _ANY else address.host
    upstream = f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    return {
        "@id": f"{_OURS}{domain.name}",
        "match": [{"host": [domain.name]}],
        "handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": upstream}], "flush_interval": -1}],
        "terminal": True,
    }


def _sign_ourselves(config: dict[str, Any], names: list[str]) -> None:
    automation = config["apps"].setdefault("tls", {}).setdefault("automation", {})
    policy = {"@id": f"{_OURS}internal", "subjects": names, "issuers": [{"module": "internal"}]}
    automation.setdefault("policies", []).insert(0, policy)
    authorities = config["apps"].setdefault("pki", {}).setdefault("certificate_authorities", {})
    authorities.setdefault("local", {"install_trust": False})
