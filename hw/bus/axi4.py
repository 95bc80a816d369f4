"""AXI4: the read and the write channels of a manager."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Values of the constant address fields: beats follow each other; normal, bufferable memory.
INCR = 0b01
NORMAL = 0b0011


def _address_channel(prefix: str, *, address_width: int, id_width: int) -> dict:
    widths = {"id": id_width, "addr": address_width, "len": 8, "size": 3, "burst": 2, "lock": 1}
    widths |= {"cache": 4, "prot": 3, "qos": 4, "valid": 1}
    members = {f"{prefix}{name}": Out(width) for name, width in widths.items()}
    return {**members, f"{prefix}ready": In(1)}


def AXI4ReadSignature(  # noqa: N802 - reads as a signature
    *, data_width: int, address_width: int, id_width: int
) -> wiring.Signature:
    """AXI4 read address and read data channel, as the manager sees them.

    Member names are the standard's, without ``arregion`` and the user signals, which are optional.
    The upper bit of ``rresp`` tells an error: SLVERR is 2, DECERR 3.

    Parameters
    ----------
    data_width : int
        Bits of a beat, a power of two from 8 to 1024.
    address_width : int
        Bits of a byte address.
    id_width : int
        Bits of a transaction id.
    """
    return wiring.Signature(
        {
            **_address_channel("ar", address_width=address_width, id_width=id_width),
            "rid": In(id_width),
            "rdata": In(data_width),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def AXI4WriteSignature(  # noqa: N802 - reads as a signature
    *, data_width: int, address_width: int, id_width: int
) -> wiring.Signature:
    """AXI4 write address, write data and write response channel, as the manager sees them.

    Member names are the standard's, without ``awregion`` and the user signals, which are optional.
    The upper bit of ``bresp`` tells an error, as that of ``rresp``.

    Parameters
    ----------
    data_width : int
        Bits of a beat, a power of two from 8 to 1024.
    address_width : int
        Bits of a byte address.
    id_width : int
        Bits of a transaction id.
    """
    return wiring.Signature(
        {
            **_address_channel("aw", address_width=address_width, id_width=id_width),
            "wdata": Out(data_width),
            "wstrb": Out(data_width // 8),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(id_width),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
        }
    )
