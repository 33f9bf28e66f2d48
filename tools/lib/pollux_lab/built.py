# SPDX-License-Identifier: BSD-3-Clause
"""Finds programs in a folder such as that of a build. Guests have this file, too."""

import os
import pathlib

INSTALLED = pathlib.Path("tests/install")  # of a build: its tests of installation leave programs there, of an earlier state


def programs_in(build: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The programs of this name below a folder, that in the folder itself first. Other tests may make and remove folders there."""
    found = []
    for folder, folders, files in os.walk(build):
        path = pathlib.Path(folder)
        folders[:] = [one for one in folders if path / one != build / INSTALLED]
        if name in files and os.access(path / name, os.X_OK):
            found.append(path / name)
    return sorted(found, key=lambda path: (path.parent != build, path))
