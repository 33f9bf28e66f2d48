# SPDX-License-Identifier: BSD-3-Clause
"""States of the sources, with uncommitted changes and new files, as git trees. What is written for this is in build/test-state, not
in the user's repository."""

import os
import pathlib
import subprocess

from .errors import LabError

FOLDER = "build/test-state"
PASSED = "passed"  # the file with the last state that passed


class Snapshots:
    def __init__(self, root: pathlib.Path):
        self._root, self.folder = root, root / FOLDER
        (self.folder / "index.lock").unlink(missing_ok=True)  # of a git that was killed; only one run is in a checkout

    def now(self) -> str:
        """The tree of all files that git tracks or would track. Raises LabError if git cannot make it."""
        self._git("add", "--all", ".")
        return self._git("write-tree")

    def changed(self, before: str, after: str) -> list[str]:
        """The files that differ between two trees or commits, with those that only one has."""
        names = self._git("diff-tree", "-r", "-z", "--relative", "--name-only", "--no-renames", before, after)
        return list(filter(None, names.split("\0")))

    def record_passed(self, tree: str) -> None:
        (self.folder / PASSED).write_text(f"{tree}\n")

    def base(self) -> tuple[str, str]:
        """With what --quick compares: a tree or commit, and what it is."""
        record = self.folder / PASSED
        if record.exists() and self._exists(tree := record.read_text().strip()):
            return tree, "the last state that passed"
        for words, what in ((["merge-base", "HEAD", "origin/HEAD"], "the last commit shared with origin"),
                            (["rev-parse", "--verify", "HEAD~"], "the commit before HEAD")):
            try:
                return self._git(*words), f"{what}, since no state has passed here yet"
            except LabError:
                continue
        return self._git("hash-object", "-t", "tree", "/dev/null"), "an empty project, since nothing else is known"

    def _exists(self, tree: str) -> bool:
        try:
            self._git("cat-file", "-e", tree)
        except LabError:
            return False
        return True

    def _git(self, *words: str) -> str:
        (self.folder / "objects").mkdir(parents=True, exist_ok=True)
        command = ["git", "-C", str(self._root)]
        own = subprocess.run([*command, "rev-parse", "--path-format=absolute", "--git-path", "objects"], capture_output=True,
                             text=True)
        environment = {**os.environ, "GIT_INDEX_FILE": str(self.folder / "index"),
                       "GIT_OBJECT_DIRECTORY": str(self.folder / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": own.stdout.strip()}
        done = subprocess.run([*command, *words], capture_output=True, text=True, errors="surrogateescape", env=environment)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise LabError(f"git {words[0]} failed: {said[-1] if said else f'status {done.returncode}'}",
                           f"see what 'git -C {self._root} status' says")
        return done.stdout.strip("\n")
