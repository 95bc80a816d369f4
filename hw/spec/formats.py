"""Weight formats: how a group of weights lies in synapse memory (``docs/arithmetic.md`` §4)."""

from __future__ import annotations

import dataclasses

from hw.spec.codes import BLOCK

#: Version of the specification: registers, layout and arithmetic.
VERSION = "1.3"

#: Version of the converted-model container and of the device image.
CONTAINER_VERSION = 1
IMAGE_VERSION = 2

#: Row sums R of a group: bits for each lane, and the beats that hold them.
SUM_BITS = 16
SUM_BEATS = SUM_BITS // 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """One way to store weights.

    A tile is N lanes wide. Its groups follow each other; each is ``scale_beats`` beats, then
    :data:`SUM_BEATS` of row sums if the matrix has them, then one beat per row. A beat holds N
    nibbles, lane 0 in the lowest bits. Row sums are N times 16 bits, in two's complement: the sum
    of each lane's nibbles over the group's inputs, padding excluded.

    A tile may also be several cores of N lanes wide. A group is then the heads, as above, of all
    its parts, and after them for each row a beat of every part.

    Attributes
    ----------
    name : str
        ``"w4"`` or ``"w8"``.
    number : int
        Number in the ``mode`` register.
    lanes_per_output : int
        Neighbouring lanes that hold one weight.
    scale_beats : int
        Beats of scales before the rows. ``w4``: N bytes of mantissas d, then N bytes of offsets b,
        two beats each. ``w8``: N / 2 bytes of d.
    """

    name: str
    number: int
    lanes_per_output: int
    scale_beats: int

    @property
    def beats(self) -> int:
        """Beats of a whole group without row sums."""
        return self.group_beats(sums=False)

    def head_beats(self, *, sums: bool) -> int:
        """Return the beats before the rows, with or without row sums."""
        return self.scale_beats + (SUM_BEATS if sums else 0)

    def group_beats(self, *, sums: bool) -> int:
        """Return the beats of a whole group, with or without row sums."""
        return self.head_beats(sums=sums) + BLOCK

    def outputs(self, lanes: int) -> int:
        """Return the outputs of one tile."""
        return lanes // self.lanes_per_output

    def tiles(self, outputs: int, lanes: int) -> int:
        """Tiles of a matrix, the last one perhaps partial."""
        return -(-outputs // self.outputs(lanes))


#: 4-bit codes -8..7 with a scale and an offset per group and output.
W4 = WeightFormat(name="w4", number=0, lanes_per_output=1, scale_beats=4)

#: 8-bit codes -128..127 as two planes, ``16 * h + l + 8``: l in even lanes, h in odd ones.
W8 = WeightFormat(name="w8", number=1, lanes_per_output=2, scale_beats=1)

FORMATS = {f.name: f for f in (W4, W8)}
