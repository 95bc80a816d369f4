"""AXI4 memory for Amaranth's simulator: random latency and pauses, errors, checks of the rules."""

from __future__ import annotations

import random
from collections import defaultdict, deque

from hw.bus.axi4 import INCR
from hw.spec.axi4 import BOUNDARY

PAUSE = 0.4


class AxiMemory:
    """Answers a manager's ports; contents are a function of the address until written.

    Parameters
    ----------
    port : interface
        Read or write port or, where both names are the same object, either.
    seed : int, optional
        Seed of latencies and pauses; without it a beat comes in every cycle, ``latency`` after its
        address.
    latency : int
        Cycles from an address to its first beat or response; with a seed the most.
    ordered : bool
        Whether answers of different ids come in the order of their addresses.
    """

    def __init__(self, port, *, seed=None, latency=1, ordered=True):
        self._port, self._latency, self._ordered = port, latency, ordered
        self._rng = random.Random(seed)
        self._pauses = seed is not None
        self._octets = {}
        #: Responses of reads and writes by the address of their beat, used once.
        self.errors = {}
        #: Addresses of beats that were read, (address, octet) that were written, in order.
        self.read, self.written = [], []
        #: Beats and responses that have been asked for and have not come.
        self.due = 0
        #: Cycles in which a beat was offered and not taken.
        self.refused = 0

    def octet(self, address):
        """Return a byte."""
        address %= 1 << 32
        return self._octets.get(address, (address * 0x9E3779B1 >> 15) & 0xFF)

    def store(self, address, octets):
        """Put bytes there."""
        self._octets.update((address + i, octet) for i, octet in enumerate(octets))

    def _goes(self):
        return not self._pauses or self._rng.random() >= PAUSE

    def _delay(self):
        return self._rng.randint(1, self._latency) if self._pauses else self._latency

    async def serve_reads(self, ctx):
        """Serve the read channels; a process."""
        axi, names = self._port, ("id", "addr", "len", "size", "burst")
        octets = len(axi.rdata) // 8
        address = [getattr(axi, f"ar{name}") for name in names]
        queue, now, ready, beat, before = deque(), 0, 0, None, None
        sampled = ctx.tick().sample(axi.arvalid, axi.rready, *address)
        async for _, _, offered, taken, *burst in sampled:
            now += 1
            assert before is None or (offered and burst == before), "an offer must stand"
            before = burst if offered and not ready else None
            if offered and ready:
                number, first, length, size, kind = burst
                assert kind == INCR and 1 << size == octets and first % octets == 0
                assert first // BOUNDARY == (first + (length + 1) * octets - 1) // BOUNDARY
                beats = deque(first + i * octets for i in range(length + 1))
                queue.append((number, now + self._delay(), beats))
                self.due += length + 1
            if beat is not None and taken:
                beat = None
                self.due -= 1
            self.refused += beat is not None
            if beat is None:
                beat = self._next_beat(queue, now)
                ctx.set(axi.rvalid, beat is not None)
                if beat is not None:
                    number, place, last = beat
                    data = sum(self.octet(place + i) << 8 * i for i in range(octets))
                    self.read.append(place)
                    ctx.set(axi.rid, number)
                    ctx.set(axi.rdata, data)
                    ctx.set(axi.rlast, last)
                    ctx.set(axi.rresp, self.errors.pop(place, 0))
            ready = self._goes()
            ctx.set(axi.arready, ready)

    def _next_beat(self, queue, now):
        """Take the oldest beat of an id that is chosen at random; ids never overtake themselves."""
        oldest = {}
        for burst in queue:
            oldest.setdefault(burst[0], burst)
        choices = list(oldest.values())[: 1 if self._ordered else None]
        choices = [burst for burst in choices if burst[1] <= now]
        if not choices or not self._goes():
            return None
        burst = self._rng.choice(choices)
        number, _, beats = burst
        address = beats.popleft()
        if not beats:
            queue.remove(burst)
        return number, address, not beats

    async def serve_writes(self, ctx):
        """Serve the write channels for bursts of one beat; a process."""
        axi = self._port
        octets = len(axi.wdata) // 8
        channels = {
            "aw": (axi.awvalid, axi.awaddr, axi.awlen, axi.awsize, axi.awburst),
            "w": (axi.wvalid, axi.wdata, axi.wstrb, axi.wlast),
        }
        names = [(name, len(signals)) for name, signals in channels.items()]
        ready, before = defaultdict(int), {}
        arrived, answers, answered = defaultdict(deque), deque(), None
        signals = [signal for group in channels.values() for signal in group]
        now = 0
        async for _, _, taken, *values in ctx.tick().sample(axi.bready, *signals):
            now += 1
            for name, count in names:
                (offered, *payload), values = values[:count], values[count:]
                waited = before.get(name)
                assert waited is None or (offered and payload == waited), "an offer must stand"
                before[name] = payload if offered and not ready[name] else None
                if offered and ready[name]:
                    arrived[name].append(payload)
                    self.due += name == "aw"
                ready[name] = self._goes()
                ctx.set(getattr(axi, f"{name}ready"), ready[name])
            while arrived["aw"] and arrived["w"]:
                address, length, size, kind = arrived["aw"].popleft()
                data, strobe, last = arrived["w"].popleft()
                assert (length, kind, 1 << size, last) == (0, INCR, octets, 1)
                assert address % octets == 0
                answers.append((now + self._delay(), address, data, strobe))
            if answered is not None and taken:
                answered = None
                self.due -= 1
            if answered is None and answers and answers[0][0] <= now and self._goes():
                _, address, data, strobe = answered = answers.popleft()
                response = self.errors.pop(address, 0)
                for i in range(octets):
                    if strobe >> i & 1:
                        self.written.append((address + i, data >> 8 * i & 0xFF))
                        self.store(address + i, [data >> 8 * i & 0xFF])
                ctx.set(axi.bresp, response)
            ctx.set(axi.bvalid, answered is not None)
