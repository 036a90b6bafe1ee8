"""How model code is isolated: from a `Launch` (what is to run and what it may see) to a command line.

A sandbox only builds commands; starting, watching and killing them is `engine.processes`. ``choose_sandbox`` picks one that
works here.
"""

from __future__ import annotations

from replicate_server.engine.sandbox.bubblewrap import BubblewrapSandbox, find_bubblewrap
from replicate_server.engine.sandbox.choice import SandboxMissing, choose_sandbox
from replicate_server.engine.sandbox.launch import Installation, Launch, Sandbox, SandboxedCommand
from replicate_server.engine.sandbox.process import ProcessSandbox, SandboxUnusable

__all__ = [
    "BubblewrapSandbox",
    "Installation",
    "Launch",
    "ProcessSandbox",
    "Sandbox",
    "SandboxMissing",
    "SandboxUnusable",
    "SandboxedCommand",
    "choose_sandbox",
    "find_bubblewrap",
]
