"""Errors that a user can act on."""

from __future__ import annotations


class UserError(Exception):
    """What went wrong and where, and what to do about it: shown without a traceback.

    Args:
        what: what is wrong, where, with the offending value.
        remedy: what the user can do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}".strip())
        self.what = what
        self.remedy = remedy
