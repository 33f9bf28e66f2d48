# SPDX-License-Identifier: BSD-3-Clause
"""Finds programs in a folder such as that of a build. Guests have this file, too."""

import os
import pathlib

INSTALLED = pathlib.Path("tests/install")  # of a build: its tests of installation leave programs there, of an earlier state


def programs_in(build: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The programs of this name below a folder, that in the folder itself first."""
    return [path for path in sorted(build.rglob(name), key=lambda path: (path.parent != build, path))
            if path.is_file() and os.access(path, os.X_OK) and not path.is_relative_to(build / INSTALLED)]
