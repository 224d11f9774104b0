"""Acting on other processes."""

import ctypes
import os
import resource
import signal
import struct

from running import PIDS, TARGETS, attempt, call, on_any

_SEIZE = 0x4206  # which does not stop it


@attempt("signal other processes")
def send_signal() -> str:
    return on_any(lambda pid: os.kill(pid, 0))


@attempt("signal all processes there are, or a group of others")
def send_signal_to_all() -> str:
    return on_any(lambda pid: os.killpg(os.getpgid(pid), 0))


@attempt("stop other processes")
def stop() -> str:
    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)

    return on_any(stop, "other", "person", "sibling")


@attempt("trace other processes (`ptrace`)")
def trace() -> str:
    return on_any(lambda pid: call("ptrace", _SEIZE, pid, 0, 0))


@attempt("read memory of other processes with `process_vm_readv`")
def read_remotely() -> str:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(0x400000, 8)
    return on_any(lambda pid: call("process_vm_readv", pid, local, 1, remote, 1, 0))


@attempt("take a descriptor from other processes (`pidfd_getfd`)")
def take_descriptor() -> str:
    def take(pid: int) -> None:
        descriptor = call("pidfd_open", pid, 0)
        try:
            os.close(call("pidfd_getfd", descriptor, 0, 0))
        finally:
            os.close(descriptor)

    return on_any(take)


@attempt("watch other processes (`perf_event_open`)")
def use_perf() -> str:
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 64, 1) + bytes(40) + b"\x63\0\0\0", 64)
    return on_any(lambda pid: os.close(call("perf_event_open", attributes, pid, -1, -1, 0)))


@attempt("set limits of other processes (`prlimit`)")
def set_limit() -> str:
    return on_any(lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)))


@attempt("set priority or processors of other apps' processes")
def set_priority() -> str:
    return on_any(lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19), "other", "supervisor", "door", "person")


@attempt("set priority or processors of its own app's other processes")
def set_own_priority() -> str:
    return on_any(lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(0)), "sibling")


@attempt("attach a memory segment of another app (System V)")
def attach_memory() -> int:
    return call("shmat", TARGETS["shared_memory"], None, 0)


@attempt("enter the namespaces of other processes")
def enter_namespace() -> str:
    def enter(pid: int) -> None:
        with open(f"/proc/{pid}/ns/mnt") as space:
            call("setns", space.fileno(), 0)

    return on_any(enter)


@attempt("see which processes run")
def see_processes() -> str:
    return " ".join(name for name, pid in PIDS.items() if os.stat(f"/proc/{pid}/stat"))
