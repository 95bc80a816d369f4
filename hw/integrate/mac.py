"""Integrator lanes, ``mac`` form: event-driven multiply-accumulate."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed

from hw.integrate.lanes import WEIGHT_WIDTH, Lanes


class MacLanes(Lanes):
    """N lanes that each add ``code * weight`` for every row, one row a cycle.

    Two neighbouring lanes share one multiplier: their weights stand in one operand, far enough
    apart that the low product cannot reach the high one except by its sign, which the high lane
    adds as a carry. Products are registered; the sums leave in the cycle after the group's last
    row.
    """

    def elaborate(self, platform):
        """Multiply, then add; one pair of lanes after the other."""
        m = Module()
        params = self._params
        beat = self.beat
        product_width = params.code_width + WEIGHT_WIDTH
        operand_width = product_width + WEIGHT_WIDTH + 1

        row = Signal()
        last = Signal()
        m.d.sync += [row.eq(beat.row), last.eq(beat.row & beat.last), self.group.eq(beat.group)]
        m.d.comb += self.handover.eq(last)

        for low in range(0, params.lanes, 2):
            weights = [
                self.weights.word_select(lane, WEIGHT_WIDTH).as_signed()
                for lane in range(low, min(low + 2, params.lanes))
            ]
            operand = Signal(signed(operand_width), name=f"operand_{low}")
            products = Signal(signed(operand_width + params.code_width), name=f"products_{low}")
            m.d.comb += operand.eq(weights[0])
            if len(weights) > 1:
                # The high weight less the low one's sign, as logic: a carry chain is too slow here.
                borrow, high = weights[0][-1], []
                for bit in (*weights[1], weights[1][-1]):
                    high.append(bit ^ borrow)
                    borrow = borrow & ~bit
                m.d.comb += operand[product_width:].eq(Cat(high))
            with m.If(beat.row):
                m.d.sync += products.eq(operand * beat.code)

            for i in range(len(weights)):
                lane = low + i
                product = products[product_width * i :][:product_width].as_signed()
                borrow = products[product_width - 1] if i else 0
                total = Signal(signed(params.sum_width), name=f"sum_{lane}")
                m.d.comb += self.sums[lane].eq(total + product + borrow)
                with m.If(row):
                    m.d.sync += total.eq(Mux(last, 0, self.sums[lane]))
        return m
