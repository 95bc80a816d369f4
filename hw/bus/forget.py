"""How a manager on the bus gives its work up: nothing may vanish that was asked for."""

from __future__ import annotations

from amaranth.hdl import DomainRenamer, Module, ResetInserter, ResetSignal, Signal, Value


def forget(m: Module, manager, *, refused: Value, quiet: Value, domain: str = "sync") -> None:
    """Drain after an error response, an abort or a reset, until all answers have come.

    Parameters
    ----------
    m : Module
        Of the manager.
    manager : Component
        With the ports ``abort`` (In), ``draining`` and ``failed`` (Out). ``draining`` rises in the
        cycle after ``refused`` or ``abort``; ``failed`` pulses in its last cycle, unless it was
        aborted.
    refused : Value
        An error response has come.
    quiet : Value
        No answer is awaited.
    domain : str
        Of ``draining``: one without reset, where it resets what shall forget by itself, so that the
        core's reset need not reach all that; else ``sync``.
    """
    failing = Signal()
    with m.If(refused & ~manager.draining):
        m.d[domain] += manager.draining.eq(1)
        m.d.sync += failing.eq(1)
    with m.If(manager.draining & quiet):
        m.d.comb += manager.failed.eq(failing & ~manager.abort)
        m.d[domain] += manager.draining.eq(0)
        m.d.sync += failing.eq(0)
    with m.If(manager.abort):
        m.d[domain] += manager.draining.eq(1)
        m.d.sync += failing.eq(0)
    with m.If(ResetSignal("sync", allow_reset_less=True)):
        m.d[domain] += manager.draining.eq(1)


def forgetful(part, draining: Value, domain: str):
    """Return a part of a manager that is reset while it drains, in the domain of ``draining``."""
    return DomainRenamer(domain)(ResetInserter(draining)(part))
