"""Which sandbox this machine gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicate_server.engine.config import SandboxChoice
from replicate_server.engine.sandbox.bubblewrap import find_bubblewrap
from replicate_server.engine.sandbox.launch import Sandbox
from replicate_server.engine.sandbox.process import find_process_sandbox


class SandboxMissing(Exception):
    """Bubblewrap was asked for and does not work here."""

    def __init__(self) -> None:
        super().__init__(
            "bubblewrap is asked for and does not work here: install the package bubblewrap and allow user namespaces, "
            "or set REPLICATE_SERVER_SANDBOX=auto"
        )


def choose_sandbox(choice: SandboxChoice, environ: Mapping[str, str], passed: Iterable[str] = ()) -> Sandbox:
    """Pick by setting and by what works. Runs programs. ``passed`` names variables of ``environ`` that models get.

    Raises:
        SandboxMissing: If bubblewrap is demanded and does not work: the operator's word is not silently weakened.
    """
    if choice is not SandboxChoice.PROCESS:
        bubblewrap = find_bubblewrap(environ, passed)
        if bubblewrap is not None:
            return bubblewrap
        if choice is SandboxChoice.BUBBLEWRAP:
            raise SandboxMissing
    return find_process_sandbox(environ, passed)
