"""Constants of a technology: each a number with unit, source and node, from a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from pathlib import Path

from sw.errors import UserError

#: Technologies that come with the program.
SHIPPED = ("22nm", "45nm", "ye2023")

_TEXTS = {"unit", "source", "node"}

#: What an energy is given by: itself, or power and time.
_ENERGY, _POWER = {"picojoules"}, {"microwatts", "nanoseconds"}

#: What outputs of a crossbar macro have besides.
_OUTPUT = {"lines", "rows", "mapping"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """Energy of one operation.

    Attributes
    ----------
    picojoules : float
        Energy; where ``microwatts`` and ``nanoseconds`` are given, their product.
    unit, source, node : str
        Per what, where from, and of which process.
    microwatts, nanoseconds : float, optional
        Power, and the time that it is drawn.
    lines, rows : int, optional
        Of an output of a crossbar macro: word lines that were raised, of how many.
    mapping : str, optional
        Its mapping, see :data:`hw.spec.mappings.MAPPINGS`.
    """

    picojoules: float
    unit: str
    source: str
    node: str
    microwatts: float | None = None
    nanoseconds: float | None = None
    lines: int | None = None
    rows: int | None = None
    mapping: str | None = None

    def as_json(self) -> dict[str, float | int | str]:
        """Everything that was given."""
        return {name: value for name, value in vars(self).items() if value is not None}


class MissingConstantError(UserError):
    """A constant that a calculation needs is not in its technology's file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Technology:
    """The constants of a technology.

    Attributes
    ----------
    name, description : str
        For people.
    constants : dict of str to Constant
        By name.
    """

    name: str
    description: str
    constants: dict[str, Constant]

    def __getitem__(self, name: str) -> float:
        """Return a constant in picojoules.

        Raises
        ------
        MissingConstantError
            If the file has none.
        """
        return self.constant(name).picojoules

    def constant(self, name: str) -> Constant:
        """Return a constant with all that is said of it; raise as above."""
        if name not in self.constants:
            raise MissingConstantError(
                f"technology {self.name} has no constant {name!r}, and none is guessed; add it to "
                "a file of your own with unit, source and node, and name that with --technology"
            )
        return self.constants[name]

    def product(self, a: int, b: int) -> float:
        """Energy of a product of integers of ``a`` and ``b`` bits, its accumulation included.

        By the smallest multiplier that the technology has for both, else as the additions of
        partial products, one for each bit of the shorter factor.
        """
        for bits in (8, 32):
            if f"multiply_{bits}" in self.constants and max(a, b) <= bits:
                return self[f"multiply_{bits}"] + self["accumulate"]
        return min(a, b) * self["accumulate"]

    def joined(self, other: Technology) -> Technology:
        """Add the constants of another technology, such as a macro's."""
        return Technology(
            name=f"{self.name} with {other.name}",
            description=f"{self.description}; {other.description}",
            constants={**self.constants, **other.constants},
        )


def load_technology(name: str) -> Technology:
    """Load a shipped technology by name, or a TOML file by path.

    Raises
    ------
    UserError
        If there is none, or it is not what a technology's file must be.
    """
    if name in SHIPPED:
        text = (resources.files("sw.energy") / "technologies" / f"{name}.toml").read_text("utf-8")
        return parse(text, name)
    path = Path(name)
    if not path.is_file():
        raise UserError(f"technology must be one of {', '.join(SHIPPED)}, or a file, not {name!r}")
    return parse(path.read_text("utf-8"), path.stem)


def parse(text: str, name: str) -> Technology:
    """Parse a technology's file; raise UserError where an entry is incomplete."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"technology {name} is not TOML: {error}") from None
    constants = {}
    for key, entry in content.items():
        if key == "description":
            continue
        given = set(entry) if isinstance(entry, dict) else set()
        if given - _OUTPUT not in (_TEXTS | _ENERGY, _TEXTS | _POWER):
            wanted, power = ", ".join(sorted(_TEXTS | _ENERGY)), " and ".join(sorted(_POWER))
            raise UserError(
                f"technology {name}: {key} needs exactly {wanted}, or {power} instead of picojoules"
            )
        for quantity in given & (_ENERGY | _POWER):
            if not isinstance(entry[quantity], int | float) or not entry[quantity] >= 0:
                raise UserError(f"technology {name}: {key} must have {quantity} of 0 or more")
        if "picojoules" not in entry:
            entry["picojoules"] = entry["microwatts"] * entry["nanoseconds"] / 1000
        constants[key] = Constant(**entry)
    return Technology(name=name, description=content.get("description", ""), constants=constants)
