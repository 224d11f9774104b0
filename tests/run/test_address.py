"""The one stable address of a deploy."""

import os
import socket
import urllib.request

import pytest

from run.shop import DEADLINE_S, WORKER, Shop, free_port, kill, wait_until
from trivet.errors import PortTaken, RollOutFailed, RunError
from trivet.host import processes
from trivet.host.sockets import connect_unix, peer_pid
from trivet.model.process import ProcessType
from trivet.model.run import Address, RollOut
from trivet.run.door import launch


def _roll_out(shop: Shop, number: int, host: str, port: int) -> RollOut:
    return shop.machine.roll_out(shop.deploy, number, address=Address(host, port), report=lambda *_: None)


def _kill_door(shop: Shop) -> None:
    with connect_unix(launch.socket_path(shop.home), DEADLINE_S) as connection:
        pid = peer_pid(connection)
    kill(pid)


def _answers(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=DEADLINE_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_port_can_be_chosen_and_is_kept(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    port = free_port()
    assert _roll_out(shop, 1, "127.0.0.1", port).address == Address("127.0.0.1", port)
    assert shop.ok(2).address == Address("127.0.0.1", port)
    assert _answers("127.0.0.1", port)


def test_another_port_moves_the_front_door(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    first, second = free_port(), free_port()
    _roll_out(shop, 1, "127.0.0.1", first)
    assert _roll_out(shop, 2, "127.0.0.1", second).succeeded
    assert shop.machine.address(shop.deploy) == Address("127.0.0.1", second)
    assert _answers("127.0.0.1", second)
    assert not _answers("127.0.0.1", first)


def test_the_same_port_can_be_opened_to_other_machines(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    port = free_port()
    _roll_out(shop, 1, "127.0.0.1", port)
    assert _roll_out(shop, 2, "0.0.0.0", port).succeeded
    assert shop.machine.address(shop.deploy) == Address("0.0.0.0", port)
    assert _answers("127.0.0.1", port)
    shop.kill_supervisor()
    shop.machine.up()
    assert _answers("127.0.0.1", port)


def test_a_failed_roll_out_does_not_move_the_front_door(shop: Shop) -> None:
    shop.shop(1)
    shop.web(2, "raise SystemExit(1)")
    first, second = free_port(), free_port()
    _roll_out(shop, 1, "127.0.0.1", first)
    assert not _roll_out(shop, 2, "127.0.0.1", second).succeeded
    assert _answers("127.0.0.1", first)
    with socket.create_server(("127.0.0.1", second)):
        assert shop.machine.address(shop.deploy) == Address("127.0.0.1", first)


def test_a_port_that_another_process_holds_is_refused_by_name_before_anything_starts(shop: Shop) -> None:
    shop.shop(1)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken) as raised:
            _roll_out(shop, 1, "127.0.0.1", port)
    command = processes.command_line(os.getpid())
    assert raised.value.message == f"Port {port} is taken by process {os.getpid()} ({command})."
    assert raised.value.hint == "End that process, or choose another port: trivet deploy --port"
    assert not (shop.home.run(shop.deploy) / "logs" / "v1.web.1.log").exists()
    assert shop.machine.ended(shop.deploy, 1) is None


def test_a_port_of_another_deploy_is_refused_by_its_name(shop: Shop) -> None:
    other = shop.beside("blog")
    other.shop(1), shop.shop(1)
    address = other.ok(1).address
    assert address is not None
    with pytest.raises(PortTaken) as raised:
        _roll_out(shop, 1, "127.0.0.1", address.port)
    assert raised.value.message == f"Port {address.port} is the address of blog/production."
    assert raised.value.hint == "Choose another one: trivet deploy --port"
    assert other.fetch().startswith("v1 ")


def test_an_address_that_this_machine_does_not_have_is_refused(shop: Shop) -> None:
    shop.shop(1)
    with pytest.raises(RunError) as raised:
        _roll_out(shop, 1, "192.0.2.1", 8099)
    assert raised.value.message == "Cannot listen on 192.0.2.1 port 8099: Cannot assign requested address."
    assert raised.value.hint == (
        "This machine has no such address. 127.0.0.1 is reached from here only, 0.0.0.0 from everywhere: --host"
    )
    assert raised.value.exit_code == 40


def test_an_address_can_be_asked_for_without_changing_anything(shop: Shop) -> None:
    shop.shop(1)
    port = free_port()
    for address in (None, Address("127.0.0.1", 0), Address("127.0.0.1", port)):
        shop.machine.check_address(shop.deploy, address)
    assert shop.machine.address(shop.deploy) is None
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken, match=f"Port {port} is taken by process"):
        shop.machine.check_address(shop.deploy, Address("127.0.0.1", port))
    _roll_out(shop, 1, "127.0.0.1", port)
    shop.machine.check_address(shop.deploy, Address("127.0.0.1", port))
    shop.machine.check_address(shop.deploy, Address("0.0.0.0", port))
    shop.machine.check_address(shop.deploy, None)
    assert shop.fetch().startswith("v1 ")
    with pytest.raises(PortTaken, match="is the address of shop/production"):
        shop.machine.check_address(shop.beside("blog").deploy, Address("127.0.0.1", port))
    with pytest.raises(RunError, match="Cannot assign requested address"):
        shop.machine.check_address(shop.deploy, Address("192.0.2.1", port))


def test_while_somebody_holds_the_address_every_change_is_refused_and_none_hangs(shop: Shop) -> None:
    shop.shop(1)
    port = free_port()
    _roll_out(shop, 1, "127.0.0.1", port)
    before = shop.pids()
    shop.kill_supervisor()
    _kill_door(shop)
    with socket.create_server(("127.0.0.1", port)):
        shop.machine.up()
        for change in (
            lambda: shop.machine.restart(shop.deploy, None),
            lambda: shop.machine.scale(shop.deploy, {"web": 2}),
            lambda: shop.machine.start(shop.deploy),
            lambda: shop.roll_out(1),
        ):
            with pytest.raises(PortTaken, match=f"Port {port} is taken by process {os.getpid()} "):
                change()
        assert shop.pids() == before
    shop.machine.restart(shop.deploy, None)
    assert shop.fetch().startswith("v1 ")


def test_a_change_that_stumbles_is_undone_and_whoever_asked_is_told(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    env = shop.home.environment(shop.deploy, 1)
    whole = env.read_text()
    env.write_text('{"values": {"A": "\\u0000"}}')
    with pytest.raises(RollOutFailed) as raised:
        shop.machine.restart(shop.deploy, None)
    assert raised.value.message.startswith("The new processes of shop/production did not come up: ")
    assert shop.pids() == before
    env.write_text(whole)
    shop.machine.restart(shop.deploy, None)
    assert shop.fetch().startswith("v1 ")


@pytest.mark.slow
def test_an_address_that_is_taken_after_a_reboot_is_served_once_it_is_free(shop: Shop) -> None:
    shop.shop(1)
    port = free_port()
    _roll_out(shop, 1, "127.0.0.1", port)
    shop.machine.down()
    with socket.create_server(("127.0.0.1", port)):
        shop.machine.up()
        assert set(shop.pids()) == {"v1.web.1"}
        why = f"Port {port} is taken by process {os.getpid()} ({processes.command_line(os.getpid())})."
        assert shop.machine.troubles() == {shop.deploy: f"it cannot be reached, tried again every 5 s: {why}"}
        assert why in (shop.home.supervisor / "supervisor.log").read_text()
    wait_until(lambda: _answers("127.0.0.1", port))
    assert shop.machine.troubles() == {}


def test_a_release_that_gives_up_its_web_processes_answers_503(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.release(2, {"w.py": WORKER}, (ProcessType("worker", "sleep 600", settle_s=0.1),))
    shop.ok(2)
    assert shop.get() == (503, "No web process of this app is running.\n")
