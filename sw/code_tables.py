"""Names of code tables that a user may choose."""

from __future__ import annotations

from hw.spec.codes import TABLES
from sw.errors import UserError


def check_table(name: str | None, default: str) -> str:
    """Name of a code table that linear layers may use.

    Raises
    ------
    UserError
        If there is no such table.
    """
    usable = [table.name for table in TABLES.values() if table.linear]
    if name is not None and name not in usable:
        raise UserError(f"code table must be one of {', '.join(usable)}, not {name!r}")
    return name or default
