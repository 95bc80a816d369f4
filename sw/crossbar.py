"""Chooses crossbars by the names and numbers that a person gives."""

from __future__ import annotations

from hw.spec.codes import BLOCK
from hw.spec.crossbar import PRESETS, Crossbar
from sw.convert.container import ConvertedModel
from sw.convert.regroup import regroup
from sw.errors import UserError

SYNAPSES = ("memory", "crossbar")


def fitted(model: ConvertedModel, crossbar: Crossbar | None) -> ConvertedModel:
    """Give weights that share an array of crossbars one scale, where it has more than 32 rows."""
    return regroup(model, crossbar.rows) if crossbar and crossbar.rows > BLOCK else model


def choose_crossbar(
    synapse: str, preset: str | None, *, adc_bits: int | None = None, **changes
) -> Crossbar | None:
    """Return the crossbars that were asked for, None where weights are in memory.

    Parameters
    ----------
    synapse : str
        One of :data:`SYNAPSES`.
    preset : str, optional
        Name in :data:`hw.spec.crossbar.PRESETS`; ``ideal`` if absent.
    adc_bits : int, optional
        Bits of the converter, instead of the preset's.
    **changes
        Other fields of :class:`hw.spec.crossbar.Crossbar` and of its device; None changes nothing.

    Raises
    ------
    UserError
        If there is no such synapse or preset, or the numbers make no sense.
    """
    if synapse not in SYNAPSES:
        raise UserError(f"--synapse must be one of {', '.join(SYNAPSES)}, not {synapse!r}")
    wanted = {name: value for name, value in changes.items() if value is not None}
    if synapse == "memory":
        if preset is not None or adc_bits is not None or wanted:
            raise UserError("the options of devices are for crossbars; add --synapse crossbar")
        return None
    preset = preset or "ideal"
    if preset not in PRESETS:
        raise UserError(f"--device must be one of {', '.join(PRESETS)}, not {preset!r}")
    try:
        crossbar = PRESETS[preset].replace(**wanted)
        return crossbar if adc_bits is None else crossbar.with_bits(adc_bits)
    except ValueError as error:
        raise UserError(f"such crossbars cannot be: {error}") from None
