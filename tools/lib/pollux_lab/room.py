# SPDX-License-Identifier: BSD-3-Clause
"""Whether a disk is full, which the programs that ran into it may not have been able to say."""

import pathlib
import shutil
import tempfile

LEAST_BYTES = 4 << 20


def hint(*folders: pathlib.Path) -> str:
    """What to do where the disk of one of them, or of temporary files, has no room left; else empty."""
    for folder in (*folders, pathlib.Path(tempfile.gettempdir())):
        if folder.exists() and shutil.disk_usage(folder).free < LEAST_BYTES:
            return f"the disk that holds {folder} is full; free some space there, then run this again"
    return ""
