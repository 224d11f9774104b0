"""The commands around a release: each runs once, within its time, told line by line, and its output is kept."""

from collections.abc import Mapping

import pytest

from run.shop import PYTHON, Shop
from trivet.host import processes
from trivet.model.output import KeptOutput, Part
from trivet.model.process import ProcessType
from trivet.model.release_settings import ReleaseSettings
from trivet.run import Call, Ran, users

_SOON = ReleaseSettings(timeout_s=4, hook_timeout_s=0.3)


def _release(shop: Shop, code: str, *, settings: ReleaseSettings | None = None, **config: str) -> Shop:
    types = (ProcessType("release", f"{PYTHON} r.py"), ProcessType("worker", "sleep 600"))
    shop.release(1, {"r.py": code}, types, config=config, settings=settings)
    return shop


def _run(shop: Shop, part: Part = Part.RELEASE, **variables: str) -> tuple[Ran, list[str]]:
    lines: list[str] = []
    ran = shop.machine.run_part(shop.deploy, 1, Call(part, variables), lines.append)
    assert ran is not None
    return ran, lines


def _kept(shop: Shop) -> Mapping[Part, KeptOutput]:
    return {kept.output.part: kept for kept in shop.machine.outputs(shop.deploy, 1)}


def test_the_output_of_the_release_command_is_reported_line_by_line_and_kept(quiet_shop: Shop) -> None:
    code = "import os, sys\nprint('migrating', os.environ['TRIVET_PROCESS'])\nprint('half', end='')\nsys.exit(3)"
    ran, lines = _run(_release(quiet_shop, code))
    assert (ran.output.status, lines, ran.last) == (3, ["migrating release.1", "half"], ("migrating release.1", "half"))
    kept = _kept(quiet_shop)[Part.RELEASE]
    assert kept.output == ran.output
    assert kept.text == quiet_shop.log("v1.release.1") == "migrating release.1\nhalf"
    assert (kept.output.command, kept.output.left_out_bytes) == (f"{PYTHON} r.py", 0)
    assert kept.output.ended_at is not None
    assert kept.output.started_at <= kept.output.ended_at


def test_only_the_last_twenty_lines_are_handed_back(quiet_shop: Shop) -> None:
    ran, lines = _run(_release(quiet_shop, "for i in range(5000): print(i)"))
    assert lines == [str(number) for number in range(5000)]
    assert ran.last == tuple(lines[-20:])


def test_of_a_huge_output_the_beginning_and_the_end_are_kept(quiet_shop: Shop) -> None:
    ran, _ = _run(_release(quiet_shop, "print('first')\nfor i in range(40000): print('x' * 99)\nprint('last')"))
    written = len("first\n") + 40000 * 100 + len("last\n")
    assert ran.output.left_out_bytes == written - 2 * 512 * 1024
    text = _kept(quiet_shop)[Part.RELEASE].text
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast\n")
    assert f"\n[{ran.output.left_out_bytes} bytes were left out here]\n" in text
    assert len(text) < 2 * 512 * 1024 + 100


def test_what_the_release_lacks_is_not_run(quiet_shop: Shop) -> None:
    quiet_shop.release(1, {}, {"worker": "sleep 600"})
    for part in Part:
        assert quiet_shop.machine.run_part(quiet_shop.deploy, 1, Call(part), print) is None
    assert quiet_shop.machine.outputs(quiet_shop.deploy, 1) == ()


def test_what_it_leaves_behind_is_ended(quiet_shop: Shop) -> None:
    ran, _ = _run(_release(quiet_shop, "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nprint('done')"))
    assert ran.output.is_good
    assert list(quiet_shop.home.temporary.iterdir()) == []


STUBBORN = r"""
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.write(1, b"child %d\n" % os.getpid())
    while True:
        time.sleep(600)
os.write(1, b"parent %d\n" % os.getpid())
while True:
    time.sleep(600)
"""


def test_what_takes_too_long_is_ended_with_all_that_it_started(quiet_shop: Shop) -> None:
    ran, lines = _run(_release(quiet_shop, STUBBORN, settings=_SOON))
    assert (ran.output.status, ran.output.is_timed_out, ran.output.told) == (None, True, "took too long and was ended")
    pids = dict(line.split() for line in lines)
    assert pids.keys() == {"parent", "child"}
    assert all(processes.start_time(int(pid)) is None for pid in pids.values())
    assert list(quiet_shop.home.temporary.iterdir()) == []
    kept = _kept(quiet_shop)[Part.RELEASE]
    assert kept.output == ran.output
    assert kept.text.splitlines() == lines


def test_what_writes_without_end_is_ended_in_time_too(quiet_shop: Shop) -> None:
    code = "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nwhile True:\n    os.write(1, b'y' * 4096)"
    ran, _ = _run(_release(quiet_shop, code, settings=_SOON))
    assert ran.output.ended_at is not None


def test_a_release_command_whose_client_is_gone_has_no_end_on_record(quiet_shop: Shop) -> None:
    _release(quiet_shop, "print('began', flush=True)\nimport time; time.sleep(600)")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet_shop.machine.run_part(quiet_shop.deploy, 1, Call(Part.RELEASE), interrupt)
    kept = _kept(quiet_shop)[Part.RELEASE]
    assert (kept.text, kept.output.ended_at, kept.output.told) == ("began\n", None, "was not seen to end")


def test_the_outputs_of_the_last_hundred_releases_are_kept(quiet_shop: Shop) -> None:
    _release(quiet_shop, "print('done')")
    folder = quiet_shop.home.run(quiet_shop.deploy) / "outputs"
    for number in range(2, 130):
        (folder / f"v{number}").mkdir(parents=True)
    _run(quiet_shop)
    assert {path.name for path in folder.iterdir()} == {"v1", *(f"v{number}" for number in range(31, 130))}


HOOK = "#!/bin/sh\nenv | sort\necho to standard error >&2\n"


def test_a_hook_has_the_builds_environment_and_what_it_is_told_and_nothing_of_the_config(quiet_shop: Shop) -> None:
    files = {"hooks/pre-release": HOOK}
    quiet_shop.release(
        1, files, {"worker": "sleep 600"}, config={"DATABASE_URL": "postgres://secret", "LANG": "secret"}
    )
    ran, lines = _run(quiet_shop, Part.PRE_RELEASE, TRIVET_HOOK="pre-release")
    assert ran.output.is_good
    assert lines[-1] == "to standard error"
    found = dict(line.split("=", 1) for line in lines[:-1])
    bundle = str(quiet_shop.home.bundle(quiet_shop.deploy.app, f"{1:012x}"))
    temporary = found.pop("TMPDIR")
    assert found.pop("HOME") == temporary
    assert found.pop("PWD") == f"{bundle}/app"
    for name in ("USER", "LOGNAME") if users.are_kept_apart() else ():
        assert found.pop(name) == "trivet-shop"
    assert found == {
        "BUNDLE": bundle,
        "LANG": "C.UTF-8",
        "PATH": f"{bundle}/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TRIVET_APP": "shop",
        "TRIVET_COMMIT": "c" * 40,
        "TRIVET_DEPLOY": "production",
        "TRIVET_HOOK": "pre-release",
        "TRIVET_PROCESS": "pre-release.1",
        "TRIVET_RELEASE": "v1",
        "TRIVET_STORAGE": str(quiet_shop.home.storage(quiet_shop.deploy)),
    }
    assert "secret" not in _kept(quiet_shop)[Part.PRE_RELEASE].text


@pytest.mark.parametrize(
    ("hook", "status", "told"),
    [
        ("echo no first line; exit 3\n", 3, "no first line"),
        ("#!/nowhere/interpreter\n", 127, "not found"),
        ("#!/bin/sh\nkill -9 $$\n", 137, ""),
    ],
    ids=["no first line", "no interpreter", "killed"],
)
def test_a_hook_that_fails_says_why_in_its_output(quiet_shop: Shop, hook: str, status: int, told: str) -> None:
    quiet_shop.release(1, {"hooks/failed": hook}, {"worker": "sleep 600"})
    ran, _ = _run(quiet_shop, Part.FAILED)
    assert ran.output.status in (status, 126)  # 126: a shell that found the program and could not start it
    assert told in _kept(quiet_shop)[Part.FAILED].text


def test_a_hook_is_ended_after_its_own_time(quiet_shop: Shop) -> None:
    files = {"hooks/post-release": "#!/bin/sh\nexec sleep 600\n"}
    quiet_shop.release(1, files, {"worker": "sleep 600"}, settings=_SOON)
    assert _run(quiet_shop, Part.POST_RELEASE)[0].output.is_timed_out


@pytest.mark.parametrize(
    ("schema", "marker", "fault"),
    [
        ("echo 0042_orders; echo noise >&2", "0042_orders", None),
        ("printf 'a  b\\n\\033[31mc\\033[0m\\n'", "a b c", None),
        ("true", None, "it printed nothing that could be one"),
        ("exit 3", None, None),
        ("echo at $DATABASE_URL", None, "it printed the value of the config key DATABASE_URL"),
    ],
)
def test_the_schema_goes_by_what_its_command_prints(
    quiet_shop: Shop, schema: str, marker: str | None, fault: str | None
) -> None:
    settings = ReleaseSettings(schema=schema)
    shop = _release(quiet_shop, "", settings=settings, DATABASE_URL="postgres://secret")
    ran, _ = _run(shop, Part.SCHEMA)
    assert (ran.output.marker, ran.output.fault) == (marker, fault)
    assert shop.machine.schema(shop.deploy, 1) == marker
    assert ("noise" in _kept(shop)[Part.SCHEMA].text) is ("noise" in schema)


def test_the_kept_outputs_are_for_their_owner_alone(quiet_shop: Shop) -> None:
    _run(_release(quiet_shop, "print('done')"))
    folder = quiet_shop.home.run(quiet_shop.deploy) / "outputs" / "v1"
    assert folder.stat().st_mode & 0o77 == 0
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "release.json": 0o600,
        "release.out": 0o600,
    }
