# SPDX-License-Identifier: BSD-3-Clause
"""The one exception of the lab: what failed, what mends it, and what a look at the guest shows."""


class LabError(Exception):
    def __init__(self, what: str, hint: str = "", detail: str = ""):
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        text = self.what
        if self.detail:
            text += "\n" + "\n".join("  | " + line for line in self.detail.rstrip().splitlines())
        if self.hint:
            text += "\n  what to do: " + self.hint
        return text


class QemuCrashed(LabError):
    """QEMU itself died of a fault of its own; that says nothing about what was tried in it."""
