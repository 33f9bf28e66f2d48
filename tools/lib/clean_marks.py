# SPDX-License-Identifier: BSD-3-Clause
"""Remembers which files a check found clean, by a hash of everything that its result depends on, for all checkouts of a user."""

import hashlib
import pathlib
import subprocess

from pollux_lab.cache import cache_directory


def folder(check: str) -> pathlib.Path:
    """The folder of a check's marks."""
    found = cache_directory() / f"{check}-clean"
    found.mkdir(parents=True, exist_ok=True)
    return found


def installed(tools: list[str]) -> bytes:
    """The versions of the tools, and of the packages with headers."""
    versions = b"".join(subprocess.run([tool, "--version"], capture_output=True, check=True).stdout for tool in tools)
    try:
        return versions + subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "*-dev"], capture_output=True,
                                         check=False).stdout
    except FileNotFoundError:
        return versions


def key(root: pathlib.Path, files: set[pathlib.Path], command: str, common: bytes) -> str:
    """The name of the mark for files, below `root`, that a command checks. `common` is what all results depend on."""
    digest = hashlib.sha256(common + command.replace(f"{root}/", "").encode())
    for path in sorted(files):
        digest.update(str(path).encode() + b"\0" + (root / path).read_bytes())
    return digest.hexdigest()


def remember(mark: pathlib.Path, root: pathlib.Path, files: set[pathlib.Path], command: str, common: bytes) -> None:
    """Marks these files as clean, unless one was edited since the mark was named."""
    if key(root, files, command, common) == mark.name:
        mark.touch()
