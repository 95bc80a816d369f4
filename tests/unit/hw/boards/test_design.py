# amaranth: UnusedElaboratable=no
"""The board design around a core."""

import re
from fractions import Fraction

import pytest

from hw.boards.design import TOP, BoardDesign, board_verilog, divisor
from hw.build import generate
from hw.core import core_signature
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams

PARAMS = CoreParams(CONFIGS["ulx3s"])


def test_divisor():
    assert divisor(40, 1_000_000) == 40
    assert divisor(Fraction(125, 2), 1_000_000) == 62
    with pytest.raises(ValueError, match="25 MHz has 8.33 cycles in a bit at 3000000 baud, too"):
        divisor(25, 3_000_000)


def test_a_core_without_tokens_is_refused():
    with pytest.raises(ValueError, match="run tokens by itself; choose a configuration with"):
        BoardDesign(CoreParams(CONFIGS["mac8"]), source=25, megahertz=50)


def test_verilog():
    """The core is that which the builder makes, all its ports are joined, and all bytes stay."""
    core, _ = generate(PARAMS)
    text = board_verilog(BoardDesign(PARAMS, source=25, megahertz=50), core)
    assert text.startswith(core)
    assert text.count("module firstspike_block_ram") == 1
    modules = re.findall(r"^module (\S+?)\(", text, re.MULTILINE)
    assert len(modules) == len(set(modules)), "no module twice"
    top = text[text.index(f"module {TOP}(") :].split("endmodule")[0]
    joined = set(re.findall(r"^    \.(\w+)\(", top[top.index("firstspike core (") :], re.MULTILINE))
    assert set(core_signature(PARAMS).members) <= joined
    assert board_verilog(BoardDesign(PARAMS, source=25, megahertz=50), core) == text
