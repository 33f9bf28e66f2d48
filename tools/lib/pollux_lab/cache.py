# SPDX-License-Identifier: BSD-3-Clause
"""Where the tools keep what they have downloaded or built."""

import os
import pathlib
import pwd


def cache_directory() -> pathlib.Path:
    """The folder of the cache, by the same rule as in tools/lib/kernel.sh. Root, as after `sudo -E`, does not use another user's cache:
    it would run what that user has put there."""
    if named := os.environ.get("POLLUX_CACHE"):
        return pathlib.Path(named)
    own = pathlib.Path(pwd.getpwuid(os.geteuid()).pw_dir, ".cache", "pollux")
    wanted = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "pollux")
    existing = next(folder for folder in (wanted, *wanted.absolute().parents) if folder.exists())
    return own if os.geteuid() == 0 and existing.stat().st_uid != 0 else wanted
