"""A serial line for Amaranth's simulator, written apart from the UART."""


class Line:
    """Drives one signal with bytes and listens to another.

    Parameters
    ----------
    out, into : Signal
        The line to the board, and from it.
    divisor : int
        Clock cycles of a bit.
    """

    def __init__(self, out, into, *, divisor):
        self._out, self._in, self._divisor = out, into, divisor
        self._heard = bytearray()

    async def send(self, ctx, octets):
        """Send bytes without a pause."""
        for octet in octets:
            for bit in (0, *(octet >> i & 1 for i in range(8)), 1):
                ctx.set(self._out, bit)
                await ctx.tick().repeat(self._divisor)

    async def listen(self, ctx):
        """Keep what comes; a process."""
        level = 1
        bits, place = 0, None
        async for _, _, level in ctx.tick().sample(self._in):
            if place is None and level == 0:
                bits, place = 0, 0
            if place is None:
                continue
            if place % self._divisor == self._divisor // 2:
                bits |= level << place // self._divisor
            place += 1
            if place == 10 * self._divisor - 1:
                assert bits >> 9 == 1 and not bits & 1, "a byte has a start and a stop bit"
                self._heard.append(bits >> 1 & 0xFF)
                place = None

    def take(self):
        """Return the bytes that have come since it was last asked."""
        heard = bytes(self._heard)
        self._heard.clear()
        return heard
