"""Constants of a technology: each a number with unit, source and node, from a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from pathlib import Path

from sw.errors import UserError

#: Technologies that come with the program.
SHIPPED = ("22nm", "45nm", "ye2023")

_FIELDS = {"picojoules", "unit", "source", "node"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """Energy of one operation.

    Attributes
    ----------
    picojoules : float
        Energy.
    unit, source, node : str
        Per what, where from, and of which process.
    """

    picojoules: float
    unit: str
    source: str
    node: str


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
        if name not in self.constants:
            raise MissingConstantError(
                f"technology {self.name} has no constant {name!r}, and none is guessed; add it to "
                "a file of your own with unit, source and node, and name that with --technology"
            )
        return self.constants[name].picojoules

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
        if not isinstance(entry, dict) or set(entry) != _FIELDS:
            raise UserError(f"technology {name}: {key} needs exactly {', '.join(sorted(_FIELDS))}")
        if not isinstance(entry["picojoules"], int | float) or not entry["picojoules"] >= 0:
            raise UserError(f"technology {name}: {key} must have picojoules of 0 or more")
        constants[key] = Constant(**entry)
    return Technology(name=name, description=content.get("description", ""), constants=constants)
