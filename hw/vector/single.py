"""Single words of vector memory, whatever their place in a beat."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.utils import exact_log2

from hw.vector.memory import READ_LATENCY


def read_word(m: Module, port) -> Value:
    """Select the word that a read port was asked for.

    Parameters
    ----------
    m : Module
        Gets registers for the place of the word in its beat.
    port : Interface
        Of :func:`hw.vector.memory.ReadSignature`.

    Returns
    -------
    Value
        The word at the address of :data:`hw.vector.memory.READ_LATENCY` cycles ago.
    """
    place = port.address[: exact_log2(port.words.shape().length)]
    for stage in range(READ_LATENCY):
        later = Signal(len(place), name=f"place_{stage}")
        m.d.sync += later.eq(place)
        place = later
    return port.words[place]


def write_word(m: Module, port, address: Value, word: Value) -> None:
    """Write one word in this cycle; to be called where it is due, within ``m.If``.

    Parameters
    ----------
    m : Module
        Drives the port.
    port : Interface
        Of :func:`hw.vector.memory.WriteSignature`.
    address, word : Value
        Word address, and what is written there.
    """
    m.d.comb += [
        port.address.eq(address),
        *(element.eq(word) for element in port.words),
        port.mask.eq(1 << address[: exact_log2(len(port.mask))]),
    ]
