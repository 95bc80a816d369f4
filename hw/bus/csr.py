"""The register file, built from the register map."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi4_lite import RegisterBusSignature
from hw.bus.window import WINDOW_LATENCY, WORD, WindowSignature
from hw.spec import formats, registers
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, Access, Register

#: Bits of a byte address.
ADDRESS_WIDTH = (registers.SPAN - 1).bit_length()


def constants(params: CoreParams) -> dict[str, int]:
    """Give the registers whose value is known when the core is built."""
    major, minor = (int(part) for part in formats.VERSION.split("."))
    return {
        "magic": registers.MAGIC,
        "version": REGISTERS["version"].pack(major=major, minor=minor),
        "hash_low": params.hash & 0xFFFFFFFF,
        "hash_high": params.hash >> WORD,
    }


def register_layout(register: Register):
    """Shape of a register's value: its fields, or a plain word."""
    if not register.fields:
        return WORD
    fields = {f.name: data.Field(f.width, f.start) for f in register.fields}
    return data.FlexibleLayout(WORD, fields)


def address_register(window: Register) -> str:
    """Name of the register that holds a data window's address."""
    return window.name.replace("_data", "_address")


class RegisterFile(wiring.Component):
    """All registers of :data:`hw.spec.registers.REGISTERS`, each a port of the same name.

    ``R`` registers are inputs (constants excepted), ``RW`` registers outputs, ``PULSE`` registers
    outputs that are non-zero for one cycle, windows :func:`hw.bus.window.WindowSignature`. Refused
    are unmapped addresses, writes to ``R`` registers, reads of ``PULSE`` registers and what a
    window's memory does not allow.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    bus : In(RegisterBusSignature)
        The register bus.
    """

    def __init__(self, params: CoreParams):
        self._constants = constants(params)
        members = {"bus": In(RegisterBusSignature(ADDRESS_WIDTH))}
        for register in REGISTERS.values():
            if register.access is Access.WINDOW:
                members[register.name] = Out(WindowSignature())
            elif register.name not in self._constants:
                flow = In if register.access is Access.R else Out
                members[register.name] = flow(register_layout(register))
        super().__init__(members)

    def elaborate(self, platform):
        """Decode the address; answer reads once the windows are right."""
        m = Module()
        bus = self.bus
        read_done = Signal()
        allowed = Signal()
        value = Signal(WORD)
        m.d.comb += bus.error.eq(~allowed)

        waiting = Signal(range(WINDOW_LATENCY + 1))
        with m.If(bus.read):
            m.d.sync += waiting.eq(WINDOW_LATENCY)
        with m.Elif(waiting != 0):
            m.d.sync += waiting.eq(waiting - 1)
        m.d.comb += [read_done.eq(waiting == 1), bus.done.eq(read_done)]
        m.d.sync += bus.read_data.eq(value)

        for register in REGISTERS.values():
            if register.access is Access.PULSE:
                m.d.sync += getattr(self, register.name).eq(0)
            elif register.access is Access.WINDOW:
                m.d.comb += [
                    getattr(self, register.name).address.eq(
                        getattr(self, address_register(register))
                    ),
                    getattr(self, register.name).write_data.eq(bus.write_data),
                ]
        with m.Switch(bus.address):
            for register in REGISTERS.values():
                with m.Case(register.address >> 2):
                    if register.access is Access.WINDOW:
                        self._window(m, register, value, allowed, read_done)
                    elif register.access is Access.R:
                        known = self._constants.get(register.name)
                        port = getattr(self, register.name) if known is None else known
                        m.d.comb += [value.eq(port), allowed.eq(~bus.write)]
                    else:
                        port = getattr(self, register.name)
                        readable = register.access is Access.RW
                        m.d.comb += allowed.eq(bus.write | readable)
                        if readable:
                            m.d.comb += value.eq(port)
                        with m.If(bus.write):
                            m.d.sync += port.eq(bus.write_data)
        return m

    def _window(self, m, register, value, allowed, read_done):
        bus = self.bus
        window = getattr(self, register.name)
        address = getattr(self, address_register(register))
        m.d.comb += [
            value.eq(window.read_data),
            allowed.eq((bus.write & window.writable) | (~bus.write & window.readable)),
            window.write.eq(bus.write & window.writable),
        ]
        with m.If((bus.write | read_done) & allowed):
            m.d.sync += address.eq(address + 1)
