# SPDX-License-Identifier: BSD-3-Clause
"""The exception of the tools: what failed, how to fix it, and details such as output of the guest."""


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


class UsageError(LabError):
    """A wrong command line."""


class QemuCrashed(LabError):
    """QEMU itself crashed, or its timer stood still, which says nothing about the test in it."""
