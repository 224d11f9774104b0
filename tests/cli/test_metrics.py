"""`trivet metrics`: what it prints, where it lets them be served, and what it says of that."""

from pathlib import Path

from support.apps import shop
from support.command import Trivet, fetch, own_port
from support.repository import Repository


def test_metrics_are_printed_served_and_no_longer_served(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(shop())
    trivet.ok("deploy")
    assert 'trivet_deploy_release{app="shop",deploy="production"} 1\n' in trivet.ok("metrics").out
    assert trivet.ok("metrics", "where").out == "nowhere\n"
    place = f"127.0.0.1:{own_port()}"
    done = trivet.ok("metrics", "on", place)
    assert (done.out, done.err) == (f"metrics are served: http://{place}/metrics\n", "")
    assert fetch(f"http://{place}/metrics")[0] == 200
    assert trivet.ok("metrics", "where", "--json").json() == {"listen": place, "served": True}
    path = tmp_path / "m.sock"
    told = f"metrics are served: curl --unix-socket {path} http://trivet/metrics\n"
    assert trivet.ok("metrics", "on", f"unix:{path}").out == told
    assert trivet.ok("metrics", "where").out == f"unix:{path}\n"
    assert trivet.ok("metrics", "off").out == f"metrics are no longer served at unix:{path}\n"
    assert trivet.ok("metrics", "off").out == "metrics were not served\n"
    everywhere = f"0.0.0.0:{own_port()}"
    done = trivet.ok("metrics", "on", everywhere)
    assert done.err == f"note     {everywhere} may be reached from other machines, without a password.\n"


def test_what_cannot_be_done_is_said_in_words(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop())
    done = trivet.run("metrics")
    assert (done.status, done.out, done.err) == (
        40,
        "",
        "error: The supervisor does not run.\nhint:  Start it: trivet up\n",
    )
    done = trivet.run("metrics", "on", "9180")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: '9180' is not where metrics can be served: it is neither HOST:PORT nor unix:PATH.\n"
        "hint:  Write 127.0.0.1:9180, [::1]:9180 or unix:/run/trivet-metrics.sock.\n"
    )
    trivet.ok("deploy")
    port = trivet.url.rpartition(":")[2].rstrip("/")
    done = trivet.run("metrics", "on", f"127.0.0.1:{port}")
    assert (done.status, done.out, done.err) == (
        40,
        "",
        f"error: Somebody else listens at 127.0.0.1:{port}.\nhint:  Choose another place, or end whoever does.\n",
    )
