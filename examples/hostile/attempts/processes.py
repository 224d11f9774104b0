"""Acting on processes outside."""

import ctypes
import os
import resource
import signal

from attempts import PID, TARGETS, attempt, call, number_of

_SEIZE = 0x4206  # which does not stop it


@attempt("signal a process outside")
def send_signal() -> str:
    os.kill(PID, 0)
    return str(PID)


@attempt("signal all processes there are")
def send_signal_to_all() -> str:
    os.kill(-1, 0)
    os.kill(PID, 0)
    return "all"


@attempt("end the process that started it")
def end_parent() -> str:
    os.kill(os.getppid(), 0)
    if os.getppid() == TARGETS["pid"]:
        return str(os.getppid())
    raise OSError(0, "that is one of the build's own")


@attempt("trace a process outside (`ptrace`)")
def trace() -> str:
    call(number_of("ptrace"), _SEIZE, PID, 0, 0)
    return str(PID)


@attempt("read a process outside with `process_vm_readv`")
def read_remotely() -> str:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(0x400000, 8)
    call(number_of("process_vm_readv"), PID, local, 1, remote, 1, 0)
    return buffer.raw.hex()


@attempt("take a descriptor from a process outside (`pidfd_getfd`)")
def take_descriptor() -> int:
    descriptor = call(number_of("pidfd_open"), PID, 0)
    try:
        return call(number_of("pidfd_getfd"), descriptor, 0, 0)
    finally:
        os.close(descriptor)


@attempt("set limits of a process outside (`prlimit`)")
def set_limit() -> str:
    resource.prlimit(PID, resource.RLIMIT_CORE, (0, 0))
    return str(PID)


@attempt("set the priority of a process outside")
def set_priority() -> str:
    os.setpriority(os.PRIO_PROCESS, PID, 1)
    return str(PID)


@attempt("choose the processors of a process outside")
def set_affinity() -> str:
    os.sched_setaffinity(PID, os.sched_getaffinity(0))
    return str(PID)


@attempt("attach a memory segment of another process (System V)")
def attach_memory() -> int:
    return call(number_of("shmat"), TARGETS["shared_memory"], None, 0)


@attempt("stop a process outside")
def stop() -> str:
    os.kill(PID, signal.SIGSTOP)
    os.kill(PID, signal.SIGCONT)
    return str(PID)
