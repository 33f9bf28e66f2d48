# SPDX-License-Identifier: BSD-3-Clause
"""Detects a full disk, since a program that failed because of it may not have been able to report it."""

import pathlib
import shutil
import tempfile

LEAST_BYTES = 4 << 20


def hint(*folders: pathlib.Path) -> str:
    """A hint if the disk of one of these folders, or of temporary files, is full; else empty."""
    for folder in (*folders, pathlib.Path(tempfile.gettempdir())):
        if folder.exists() and shutil.disk_usage(folder).free < LEAST_BYTES:
            return f"the disk that holds {folder} is full; free some space there, then run this again"
    return ""
