"""What a board is: a device, and the pins that the board design uses."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from fractions import Fraction

from amaranth.build import Resource, Subsignal

#: Resource, number and, where it has several parts, the part.
Place = tuple[str, int] | tuple[str, int, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pin:
    """A pin of the package.

    Attributes
    ----------
    site : str
        Its name on the package.
    inverted : bool
        Whether low means on.
    attributes : mapping of str to str
        Its electrical properties.
    """

    site: str
    inverted: bool
    attributes: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes
    ----------
    name : str
        As on the command line.
    title : str
        For people.
    platform : str
        Class of ``amaranth_boards``, MODULE:CLASS, which knows the pins.
    clock, rx, tx : Place
        Oscillator, and serial line from and to the host.
    reset : Place or None
        Button that resets.
    leds : tuple of Place
        Lights, up to 4.
    device, package : str
        As nextpnr names them; empty for a board that only has constraints.
    megahertz : Fraction
        Clock of the core that is aimed at.
    config : str
        Configuration that is built if none is named.
    loader : str
        Command that loads a bitstream whose name follows; empty if there is none.
    """

    name: str
    title: str
    platform: str
    clock: Place
    rx: Place
    tx: Place
    reset: Place | None
    leds: tuple[Place, ...]
    device: str = ""
    package: str = ""
    megahertz: Fraction = Fraction(50)
    config: str = "ulx3s"
    loader: str = ""

    @property
    def speed(self) -> str:
        """Speed grade of the device."""
        return self._platform().speed

    @property
    def oscillator(self) -> Fraction:
        """Frequency of the board's clock in MHz."""
        clock = self._resource(self.clock).clock
        assert clock is not None
        return Fraction(int(clock.frequency), 10**6)

    def pins(self) -> dict[str, Pin]:
        """Pins of the board design by the name of its port."""
        places = {"clk": self.clock, "rx": self.rx, "tx": self.tx}
        if self.reset:
            places["reset"] = self.reset
        places |= {f"led{i}": place for i, place in enumerate(self.leds)}
        return {port: self._pin(place) for port, place in places.items()}

    def _platform(self):
        module, name = self.platform.split(":")
        return getattr(importlib.import_module(f"amaranth_boards.{module}"), name)

    def _resource(self, place: Place) -> Resource:
        return self._platform()().lookup(*place[:2])

    def _pin(self, place: Place) -> Pin:
        resource = self._resource(place)
        attributes = dict(resource.attrs)
        ios = resource.ios
        if isinstance(ios[0], Subsignal):
            part = next(io for io in ios if io.name == place[-1])
            attributes |= part.attrs
            ios = part.ios
        (pins,) = ios
        (site,) = pins.names
        return Pin(site=site, inverted=pins.invert, attributes=attributes)
