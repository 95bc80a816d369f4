"""Integrator lanes, ``mac`` form: event-driven multiply-accumulate."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed

from hw.integrate.lanes import WEIGHT_WIDTH, Lanes


class MacLanes(Lanes):
    """N lanes that each add ``code * weight`` for every row, one row a cycle.

    Two neighbouring lanes share one multiplier: their weights stand in one operand, far enough
    apart that the low product cannot reach the high one except by its sign, which the high lane
    adds as a carry. Operands and products are registered; the sums leave two cycles after the
    group's last row.
    """

    latency = 2

    def elaborate(self, platform):
        """Multiply, then add; one pair of lanes after the other."""
        m = Module()
        params = self._params
        beat = self.beat
        product_width = params.code_width + WEIGHT_WIDTH
        operand_width = product_width + WEIGHT_WIDTH + 1

        code = Signal.like(beat.code)
        row, last = Signal(2), Signal(2)
        group = Signal.like(self.group)
        m.d.sync += [
            code.eq(beat.code),
            row.eq(Cat(beat.row, row)),
            last.eq(Cat(beat.row & beat.last, last)),
            group.eq(beat.group),
            self.group.eq(group),
        ]
        m.d.comb += self.handover.eq(last[-1])

        for low in range(0, params.lanes, 2):
            weights = [
                self.weights.word_select(lane, WEIGHT_WIDTH).as_signed()
                for lane in range(low, min(low + 2, params.lanes))
            ]
            operand = Signal(signed(operand_width), name=f"operand_{low}", reset_less=True)
            products = Signal(
                signed(operand_width + params.code_width), name=f"products_{low}", reset_less=True
            )
            m.d.sync += operand.eq(weights[0])
            if len(weights) > 1:
                # The high weight less the low one's sign: no carry has to cross the gap.
                m.d.sync += operand[product_width:].eq(weights[1] - weights[0][-1])
            with m.If(row[0]):
                m.d.sync += products.eq(operand * code)

            for i in range(len(weights)):
                lane = low + i
                product = products[product_width * i :][:product_width].as_signed()
                borrow = products[product_width - 1] if i else 0
                total = Signal(signed(params.sum_width), name=f"sum_{lane}")
                m.d.comb += self.sums[lane].eq(total + product + borrow)
                with m.If(row[1]):
                    m.d.sync += total.eq(Mux(last[1], 0, self.sums[lane]))
        return m
