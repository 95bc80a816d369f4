"""The register file, built from the register map."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi4_lite import RegisterBusSignature
from hw.bus.window import WINDOW_LATENCY, WORD, WindowSignature
from hw.spec import formats, registers
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, Access, Register, registers_of

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
    """All of a core's :func:`hw.spec.registers.registers_of`, each a port of the same name.

    ``R`` registers are inputs (constants excepted), ``RW`` registers outputs, ``PULSE`` registers
    outputs that are non-zero for one cycle, windows :func:`hw.bus.window.WindowSignature`. Refused
    are unmapped addresses, writes to ``R`` registers and, while ``status`` says busy, to guarded
    ones, reads of ``PULSE`` registers and what a window's memory does not allow.

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
        self._registers = registers_of(crossbar=params.crossbar is not None).values()
        members = {"bus": In(RegisterBusSignature(ADDRESS_WIDTH))}
        for register in self._registers:
            if register.access is Access.WINDOW:
                members[register.name] = Out(WindowSignature())
            elif register.name not in self._constants:
                flow = In if register.access is Access.R else Out
                members[register.name] = flow(register_layout(register))
        super().__init__(members)

    def elaborate(self, platform):
        """Decode writes at once, reads when the windows have answered."""
        m = Module()
        self._write(m)
        self._read(m)
        for window in self._windows():
            address = getattr(self, address_register(window))
            port = getattr(self, window.name)
            m.d.comb += [port.address.eq(address), port.write_data.eq(self.bus.write_data)]
            reads = self.bus.read & (self.bus.read_address == window.address >> 2)
            written = Signal(name=f"{window.name}_written")  # no access follows a write so soon
            m.d.sync += written.eq(port.write)
            with m.If(written | (reads & port.readable)):
                m.d.sync += address.eq(address + 1)
        return m

    def _windows(self):
        return [r for r in self._registers if r.access is Access.WINDOW]

    def _write(self, m):
        bus = self.bus
        allowed = Signal()
        m.d.comb += bus.refused.eq(~allowed)
        for register in self._registers:
            if register.access is Access.PULSE:
                m.d.sync += getattr(self, register.name).eq(0)
        with m.Switch(bus.write_address):
            for register in self._registers:
                if register.access is Access.R:
                    continue
                port = getattr(self, register.name)
                free = ~self.status.busy if register.guarded else Const(1)
                with m.Case(register.address >> 2):
                    if register.access is Access.WINDOW:
                        m.d.comb += [
                            allowed.eq(port.writable & free),
                            port.write.eq(bus.write & port.writable & free),
                        ]
                    else:
                        m.d.comb += allowed.eq(free)
                        with m.If(bus.write & free):
                            m.d.sync += port.eq(bus.write_data)

    def _read(self, m):
        bus = self.bus
        allowed = Signal()
        with m.Switch(bus.read_address):
            for register in self._registers:
                with m.Case(register.address >> 2):
                    if register.access is Access.WINDOW:
                        m.d.comb += allowed.eq(getattr(self, register.name).readable)
                    else:
                        m.d.comb += allowed.eq(register.access is not Access.PULSE)

        asked = [Cat(allowed, bus.read_address)]
        for stage in range(WINDOW_LATENCY - 1):
            later = Signal(len(asked[0]), name=f"asked_{stage + 1}")
            m.d.sync += later.eq(asked[-1])
            asked.append(later)
        # All but the windows, which come late, are put together a cycle before.
        answered, gathered = Signal(), Signal(WORD)
        early, late = Const(0, WORD), Const(0, WORD)
        for register in self._registers:
            if register.access is Access.PULSE:
                continue
            is_window = register.access is Access.WINDOW
            chosen = Signal(name=f"reads_{register.name}")
            m.d.sync += chosen.eq(
                asked[-1 if is_window else -2]
                == Cat(Const(1, 1), Const(register.address >> 2, len(bus.read_address)))
            )
            known = self._constants.get(register.name)
            port = getattr(self, register.name) if known is None else Const(known, WORD)
            if is_window:
                late |= port.read_data & chosen.replicate(WORD)
            else:
                early |= Value.cast(port) & chosen.replicate(WORD)
        m.d.sync += [
            answered.eq(asked[-1][0]),
            gathered.eq(early),
            bus.answer.value.eq(gathered | late),
            bus.answer.refused.eq(~answered),
        ]
