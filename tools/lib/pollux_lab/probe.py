# SPDX-License-Identifier: BSD-3-Clause
"""Checks whether KVM runs a guest on this machine. A device node is not enough: some hosts hang on the first boot."""

import os
import pathlib

from .errors import LabError
from .guest import Guest
from .kernel import Kernel
from .machine import Machine

ACCELERATORS = ("tcg", "kvm", "auto")
PROBE_SECONDS = 5


def accelerator(wanted: str, kernel: Kernel, cache: pathlib.Path) -> str:
    """Returns tcg or kvm. 'auto' selects KVM if the probe boots; 'kvm' raises LabError if it does not."""
    if wanted == "tcg":
        return "tcg"
    error = _why_not_kvm(kernel, cache)
    if error is None:
        return "kvm"
    if wanted == "auto":
        return "tcg"
    raise LabError(f"KVM was requested, but {error}", "use --accel tcg, which works everywhere")


def _why_not_kvm(kernel: Kernel, cache: pathlib.Path) -> str | None:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is missing or may not be opened"
    try:
        machine = Machine([], accel="kvm", cpus=1, memory_mib=512, huge_pages=0)
        Guest(machine, kernel, cache, [], PROBE_SECONDS).start().close()
        return None
    except LabError as error:
        return f"a small guest did not boot under KVM within {PROBE_SECONDS} s ({error.what})"
