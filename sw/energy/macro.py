"""Energy of a crossbar macro's outputs, from published power times access time."""

from __future__ import annotations

import dataclasses

from hw.spec.crossbar import Crossbar
from sw.energy.technology import SHIPPED, Constant, Technology, load_technology
from sw.errors import UserError

#: The two outputs whose power is known, and what was measured of them.
POINTS = {"output_sparse": "measured_sparse", "output_dense": "measured_dense"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MacroEnergy:
    """Energy of an output in one time step: a part that is always drawn, and one of each line.

    Both follow from the two outputs whose power is known: a line through two points, which is
    fitted (two numbers from two) and not the source's.

    Attributes
    ----------
    technology : str
        Where the constants are from.
    sparse, dense : Constant
        Outputs whose power is known, with few and with many lines raised.
    """

    technology: str
    sparse: Constant
    dense: Constant

    @classmethod
    def of(cls, technology: Technology) -> MacroEnergy:
        """Read the constants.

        Raises
        ------
        MissingConstantError
            If one is missing.
        UserError
            If one does not say how many lines were raised, of how many, or both say the same.
        """
        sparse, dense = (technology.constant(name) for name in POINTS)
        for name, point in zip(POINTS, (sparse, dense), strict=True):
            if point.lines is None or point.rows is None or point.mapping is None:
                raise UserError(
                    f"technology {technology.name}: {name} must say lines, rows and mapping, too"
                )
        if sparse.lines == dense.lines or (sparse.rows, sparse.mapping) != (
            dense.rows,
            dense.mapping,
        ):
            raise UserError(
                f"technology {technology.name}: {' and '.join(POINTS)} must be of one macro, with "
                "different lines"
            )
        return cls(technology=technology.name, sparse=sparse, dense=dense)

    @property
    def line(self) -> float:
        """Picojoules of a raised line."""
        assert self.sparse.lines is not None and self.dense.lines is not None
        rise = self.dense.picojoules - self.sparse.picojoules
        return rise / (self.dense.lines - self.sparse.lines)

    @property
    def base(self) -> float:
        """Picojoules of an output in a step, without its lines."""
        assert self.sparse.lines is not None
        return self.sparse.picojoules - self.line * self.sparse.lines

    def picojoules(self, outputs: float, lines: float) -> float:
        """Energy of outputs.

        Parameters
        ----------
        outputs : float
            Outputs that are read, each in each of its steps.
        lines : float
            Lines that are raised in them, summed over the outputs.
        """
        return self.base * outputs + self.line * lines

    def check(self, crossbar: Crossbar) -> None:
        """Refuse crossbars whose outputs are not those whose power is known.

        Raises
        ------
        UserError
            If rows, mapping or read-out are others.
        """
        wanted, got = (self.dense.rows, self.dense.mapping), (crossbar.rows, crossbar.mapping)
        if got != wanted:
            raise UserError(
                f"the power of {self.technology} is that of {wanted[0]} rows of mapping "
                f"{wanted[1]!r}, and nothing is known of {got[0]} rows of {got[1]!r}; name a file "
                "with constants of such a macro with --macro"
            )
        if crossbar.readout != "step":
            raise UserError(
                f"the power of {self.technology} is that of a read-out in each step, not of one "
                f"per {crossbar.readout}"
            )


def open_macro(name: str | None, crossbar: Crossbar) -> tuple[Technology, MacroEnergy]:
    """Constants of the macro that crossbars are made of.

    Parameters
    ----------
    name : str, optional
        A technology, or its file; that of the preset if absent.
    crossbar : Crossbar
        The crossbars.

    Raises
    ------
    UserError
        If nothing is known of them.
    """
    name = name or crossbar.preset
    if name == crossbar.preset and name not in SHIPPED:
        raise UserError(
            f"no source says what power device {name!r} draws, and none is guessed; name a file "
            f"with {' and '.join(POINTS)} of such a macro with --macro, or choose --device ye2023"
        )
    technology = load_technology(name)
    energy = MacroEnergy.of(technology)
    energy.check(crossbar)
    return technology, energy
