"""Device memory in block RAM: an AXI4 slave, and a way in for the host."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In
from amaranth.utils import exact_log2

from hw.bus.axi4_lite import OKAY
from hw.bus.window import WORD
from hw.link.access import AccessSignature
from hw.sequence.storer import write_signature
from hw.spec.params import CoreParams
from hw.synapse.block_ram import BlockRAM
from hw.synapse.external import axi_signature

DECERR = 0b11

#: Words of the deepest bank: a block RAM holds a bit of each.
BANK = 1 << 14

#: Beats that are on their way or wait for the manager.
BEATS = 8

#: Cycles from an address to its word.
_LATENCY = 2


def banks(words: int) -> list[int]:
    """Words of each bank, powers of two: whole ones, then what the rest needs.

    No bank has fewer words than a block RAM of bytes, but for the last.
    """
    found = [BANK] * (words // BANK)
    rest = words % BANK
    for depth in (BANK >> 1, BANK >> 2, BANK >> 3):
        if rest >= depth:
            found.append(depth)
            rest -= depth
    return [*found, rest] if rest else found


class BlockMemory(wiring.Component):
    """All of a core's device memory on chip.

    A beat of a burst comes in every cycle. A burst that ends beyond the memory is answered with
    DECERR there, and writes nothing there. What was written is read from the response on. The host
    waits while the core reads or writes in the same cycle.

    Parameters
    ----------
    params : CoreParams
        The core's parameters: ``memory_beats`` and the bus.

    Members
    -------
    reads : In(AXI4ReadSignature)
        The core's reads.
    writes : In(AXI4WriteSignature)
        The core's writes.
    host : In(AccessSignature)
        The host's accesses, of 32-bit words.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        self.octets = params.axi_data_width // 8
        self.words = params.memory_beats * params.beat_bits // params.axi_data_width
        super().__init__(
            {
                "reads": In(axi_signature(params)),
                "writes": In(write_signature(params)),
                "host": In(AccessSignature()),
            }
        )

    def elaborate(self, platform):
        """Share one read port and one write port; the core comes first."""
        m = Module()
        octets, host = self.octets, self.host
        low = exact_log2(octets)
        lane = host.address[2:low]
        read_address, write_address = Signal(range(self.words)), Signal(range(self.words))
        write_data, strobe = Signal(8 * octets), Signal(octets)
        word = self._banks(m, read_address, write_address, write_data, strobe)

        # A request moves along with its word.
        tag = data.StructLayout(
            {"core": 1, "host": 1, "beyond": 1, "last": 1, "id": self._params.axi_id_width}
        )
        entering, tags = Signal(tag), [Signal(tag) for _ in range(_LATENCY + 1)]
        m.d.sync += [behind.eq(before) for before, behind in zip(tags, tags[1:], strict=False)]
        m.d.sync += tags[0].eq(entering)
        asked = self._ask(m, entering, read_address, arrived=tags[-1], word=word)

        # The host reads where the core does not, and writes likewise.
        beyond = (host.address >> low) >= self.words
        wrote, lanes = Signal(), [Signal.like(lane) for _ in range(_LATENCY + 1)]
        busy = self._write(m, write_address, write_data, strobe)
        m.d.comb += host.ready.eq(Mux(host.write, ~busy, ~asked))
        m.d.sync += wrote.eq(0)
        with m.If(host.valid & host.ready):
            with m.If(host.write):
                m.d.sync += [
                    wrote.eq(1),
                    host.refused.eq(beyond),
                    write_address.eq(host.address >> low),
                    write_data.eq(host.data.replicate(8 * octets // WORD)),
                    strobe.eq(Mux(beyond, 0, 0b1111 << 4 * lane)),
                ]
            with m.Else():
                m.d.comb += [entering.host.eq(1), entering.beyond.eq(beyond)]
                m.d.sync += [read_address.eq(host.address >> low), lanes[0].eq(lane)]
        m.d.sync += [behind.eq(before) for before, behind in zip(lanes, lanes[1:], strict=False)]
        m.d.sync += host.answered.eq(wrote | tags[-1].host)
        with m.If(tags[-1].host):
            m.d.sync += [
                host.refused.eq(tags[-1].beyond),
                host.answer.eq(word.word_select(lanes[-1], WORD)),
            ]
        return m

    def _banks(self, m, read_address, write_address, write_data, strobe):
        """Return the word at the address of :data:`_LATENCY` cycles before."""
        words, start = [], 0  # starts are multiples of the depth: low bits address a bank
        for number, depth in enumerate(banks(self.words)):
            chosen, word = Signal(), Signal(8 * self.octets)
            m.d.comb += chosen.eq((write_address >= start) & (write_address < start + depth))
            for octet in range(self.octets):
                ram = BlockRAM(width=8, depth=depth)
                m.submodules[f"bank{number}_{octet}"] = ram
                m.d.comb += [
                    ram.write_en.eq(strobe[octet] & chosen),
                    ram.write_address.eq(write_address),
                    ram.write_data.eq(write_data.word_select(octet, 8)),
                    ram.read_en.eq(1),
                    ram.read_address.eq(read_address),
                    word.word_select(octet, 8).eq(ram.read_data),
                ]
            words.append((start, depth, word))
            start += depth
        number, wanted, found = (
            Signal(range(len(words))),
            Signal(range(len(words))),
            Signal(8 * self.octets),
        )
        for index, (start, _, _) in enumerate(words):
            with m.If(read_address >= start):
                m.d.comb += number.eq(index)
        m.d.sync += [wanted.eq(number), found.eq(Array(word for _, _, word in words)[wanted])]
        return found

    def _ask(self, m, entering, read_address, *, arrived, word):
        """Take bursts, ask for a beat a cycle while there is room; return whether one is."""
        axi, low = self.reads, exact_log2(self.octets)
        m.submodules.beats = beats = SyncFIFO(width=len(word) + len(axi.rid) + 3, depth=BEATS)
        room = Signal(range(BEATS + 1), init=BEATS)
        left, active, asks = Signal(9), Signal(), Signal()
        address, id = Signal(len(axi.araddr) - low), Signal.like(axi.rid)
        last = left == 1
        m.d.comb += [
            active.eq(left != 0),
            asks.eq(active & (room != 0)),
            axi.arready.eq(~active | (asks & last)),
            beats.w_en.eq(arrived.core),
            beats.w_data.eq(Cat(word, arrived.id, arrived.last, Mux(arrived.beyond, DECERR, OKAY))),
            Cat(axi.rdata, axi.rid, axi.rlast, axi.rresp).eq(beats.r_data),
            axi.rvalid.eq(beats.r_rdy),
            beats.r_en.eq(axi.rready),
        ]
        m.d.sync += room.eq(room - asks + (axi.rvalid & axi.rready))
        with m.If(asks):
            m.d.comb += [
                entering.core.eq(1),
                entering.id.eq(id),
                entering.last.eq(last),
                entering.beyond.eq(address >= self.words),
            ]
            m.d.sync += [read_address.eq(address), address.eq(address + 1), left.eq(left - 1)]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [
                left.eq(axi.arlen + 1),
                address.eq(axi.araddr >> low),
                id.eq(axi.arid),
            ]
        return asks

    def _write(self, m, write_address, write_data, strobe):
        """Take a burst's beats, then answer; return whether the write port is taken."""
        axi, low = self.writes, exact_log2(self.octets)
        address, taken, beyond = Signal(len(axi.awaddr) - low), Signal(), Signal()
        here = address >= self.words
        m.d.comb += [
            axi.awready.eq(~taken & ~axi.bvalid),
            axi.wready.eq(taken),
        ]
        m.d.sync += strobe.eq(0)
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [
                taken.eq(1),
                address.eq(axi.awaddr >> low),
                beyond.eq(0),
                axi.bid.eq(axi.awid),
            ]
        busy = axi.wvalid & axi.wready
        with m.If(busy):
            m.d.sync += [
                write_address.eq(address),
                write_data.eq(axi.wdata),
                strobe.eq(Mux(here, 0, axi.wstrb)),
                address.eq(address + 1),
                beyond.eq(beyond | here),
            ]
            with m.If(axi.wlast):
                m.d.sync += [
                    taken.eq(0),
                    axi.bvalid.eq(1),
                    axi.bresp.eq(Mux(beyond | here, DECERR, OKAY)),
                ]
        return busy
