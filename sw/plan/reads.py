"""Which of the beats that are read are useful, and what silent codes save."""

from __future__ import annotations

from hw.spec.params import CoreParams
from sw.plan.matrix import Product


class Reads:
    """Adds up what a token reads.

    A beat is useful if at least half its bytes are used. Padding, silent rows that are read
    through, a second read of keys or values for another query head, and the program are not.

    Parameters
    ----------
    params : CoreParams
        The core.

    Attributes
    ----------
    useful_beats : int
        Useful beats of the bus.
    products, silent_products : int
        Multiplications by weights, and those of them whose code is silent.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self._caches: set[int] = set()
        self.products, self.silent_products = 0, 0
        self.useful_beats = 0

    def load(self, useful_beats: int) -> None:
        """Add a LOAD."""
        self.useful_beats += useful_beats

    def multiply(self, product: Product) -> None:
        """Add a MATVEC."""
        marked = product.bank.marks.rows
        rows, blocks = sum(marked), len(marked)
        if product.counted:
            self.products += product.outputs * product.inputs
            self.silent_products += product.outputs * (product.inputs - rows)
        elif product.address in self._caches:
            return
        else:
            self._caches.add(product.address)
        outputs = product.layout.outputs(self._params.lanes)
        full, rest = divmod(product.outputs, outputs)
        beats = (full + (2 * rest >= outputs)) * (rows + blocks * product.head_beats)
        self.useful_beats += beats * self._params.beat_bits // self._params.axi_data_width
