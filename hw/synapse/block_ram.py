"""Block RAM without contents, as deep as a model needs."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

#: Module that the generated Verilog instantiates. Amaranth's memories always have contents, one
#: line a word: too many for a model, and not every synthesis tool takes them.
VERILOG = """
module firstspike_block_ram #(
    parameter WIDTH = 32,
    parameter DEPTH = 1024,
    parameter ADDRESS_WIDTH = 10
) (
    input clk,
    input write_en,
    input [ADDRESS_WIDTH-1:0] write_address,
    input [WIDTH-1:0] write_data,
    input read_en,
    input [ADDRESS_WIDTH-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
  (* no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
  always @(posedge clk) begin
    if (write_en) words[write_address] <= write_data;
    if (read_en) read_data <= words[read_address];
  end
endmodule
"""


class BlockRAM(wiring.Component):
    """One write port and one read port; a read gives what was there before a write.

    Elaborates as an Amaranth memory for Amaranth's simulator (no platform), and as an instance of
    :data:`VERILOG` for a platform.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Words, at least 2.

    Attributes
    ----------
    write_en, write_address, write_data
        Write port.
    read_en, read_address, read_data
        Read port; the word comes one cycle after its address.
    """

    def __init__(self, *, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__(
            {
                "write_en": In(1),
                "write_address": In(range(depth)),
                "write_data": In(width),
                "read_en": In(1),
                "read_address": In(range(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        """Choose between the two forms."""
        m = Module()
        ports = {name: getattr(self, name) for name in self.signature.members}
        if platform is None:
            m.submodules.ram = ram = memory.Memory(shape=self._width, depth=self._depth, init=[])
            write, read = ram.write_port(), ram.read_port()
            m.d.comb += [
                write.en.eq(ports["write_en"]),
                write.addr.eq(ports["write_address"]),
                write.data.eq(ports["write_data"]),
                read.en.eq(ports["read_en"]),
                read.addr.eq(ports["read_address"]),
                ports["read_data"].eq(read.data),
            ]
        else:
            read_data = ports.pop("read_data")
            m.submodules.ram = Instance(
                "firstspike_block_ram",
                p_WIDTH=self._width,
                p_DEPTH=self._depth,
                p_ADDRESS_WIDTH=len(self.read_address),
                i_clk=ClockSignal(),
                o_read_data=read_data,
                **{f"i_{name}": port for name, port in ports.items()},
            )
        return m
