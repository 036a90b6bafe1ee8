"""The process sandbox's launcher: gives up rights one after the other, then executes the worker. Standard library only.

Run as a script by the server's interpreter with ``-I -S``, its plan as JSON in the only argument. A program of its own, because
code between fork and exec (``preexec_fn``) is unsafe in a process with threads, and because the model's own interpreter may run
an author's ``.pth`` files before the first line of any module. Costs about 15 ms.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import stat
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNET = 0x40000000
_CAPABILITIES_MAX = 64

# The same numbers on every architecture (they were added after the tables were unified).
_SYS_LANDLOCK_CREATE_RULESET = 444
_SYS_LANDLOCK_ADD_RULE = 445
_SYS_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ_RIGHTS = _EXECUTE | _READ_FILE | _READ_DIR
# How many of the file rights each version of landlock knows, by version.
_FILE_RIGHT_COUNTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHT_COUNT_NEWEST = 16
_TCP_RIGHTS = 0b11
_SCOPED = 0b11  # abstract sockets and signals


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("access_fs", ctypes.c_uint64), ("access_net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """The kernel's landlock version; 0 when it has none or it is switched off."""
    version = _libc().syscall(_SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION)
    return max(0, int(version))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def limit_resources(plan: dict[str, Any]) -> None:
    """No core dumps; memory and process counts where no control group limits them."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, wanted in ((resource.RLIMIT_DATA, plan["memory_bytes"]), (resource.RLIMIT_NPROC, plan["processes_max"])):
        if wanted is not None:
            hard = resource.getrlimit(name)[1]
            allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(name, (allowed, allowed))


def drop_privileges(user: int | None) -> None:
    """Give up capabilities and, when ``user`` is given, the identity too. For good: nothing executed later gets them back."""
    libc = _libc()
    for capability in range(_CAPABILITIES_MAX):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # Fails beyond the last one and without rights: both are fine.
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def restrict_files(plan: dict[str, Any]) -> None:
    """Confine file access to the plan's paths by landlock; does nothing on a kernel without it."""
    version = landlock_version()
    if version == 0:
        return
    libc = _libc()
    every = (1 << _FILE_RIGHT_COUNTS.get(version, _FILE_RIGHT_COUNT_NEWEST)) - 1
    net = _TCP_RIGHTS if version >= 4 and not plan["network"] else 0
    attr = _RulesetAttr(every, net, _SCOPED if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _check(libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), 0), "landlock ruleset")
    for rights, paths in ((_READ_RIGHTS, plan["read_only"]), (every, plan["writable"])):
        for path in paths:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            rule = _PathBeneathAttr(rights & every if is_folder else rights & every & _FILE_RIGHTS, descriptor)
            added = libc.syscall(_SYS_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0)
            _check(added, f"landlock rule for {path}")
            os.close(descriptor)
    _check(libc.syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock restrict")
    os.close(ruleset)


def main() -> None:
    """Carry out the plan. The order matters: each step needs rights that a later one gives up."""
    plan = json.loads(sys.argv[1])
    limit_resources(plan)
    if not plan["network"] and os.geteuid() == 0:
        _check(_libc().unshare(_CLONE_NEWNET), "network namespace")
    drop_privileges(plan["user"])
    restrict_files(plan)
    # After the identity changed, for that would clear it.
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
    if os.getppid() != plan["parent"]:
        os._exit(1)  # The server died before the signal was set.
    os.umask(0o022)
    os.chdir(plan["folder"])
    os.execve(plan["argv"][0], plan["argv"], plan["variables"])  # noqa: S606


if __name__ == "__main__":
    main()
