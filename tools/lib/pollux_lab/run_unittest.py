# SPDX-License-Identifier: BSD-3-Clause
"""Runs a unittest script: python3 -m pollux_lab.run_unittest SCRIPT ARGUMENT... As GoogleTest's programs do, it writes the cases
to the file in the environment variable GTEST_OUTPUT=xml:FILE."""

import os
import pathlib
import runpy
import sys
import time
import unittest

from . import junit
from .junit import Result

PREFIX = "xml:"
# Git sets these for its hooks. With them a test that makes a repository would write to that of the hook instead.
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


class Recorder(unittest.TextTestResult):
    """Records each case; a case with a failing subtest has failed."""

    def __init__(self, *arguments, **words):
        super().__init__(*arguments, **words)
        self.cases: dict[str, Result] = {}
        self._begun = 0.0

    def startTest(self, test):
        self._begun = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._note(test, "passed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "failed", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "failed", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", str(err[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._note(test, "skipped", "it is expected to fail")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "it was expected to fail, but passed")

    def _note(self, test, state: str, detail: str = "") -> None:
        name = test.id().removeprefix("__main__.")
        before = self.cases.get(name)
        if before is None or before.state != "failed":
            self.cases[name] = Result(name, state, time.monotonic() - self._begun, detail)


class Runner(unittest.TextTestRunner):
    resultclass = Recorder

    def run(self, test):
        result = super().run(test)
        wanted = os.environ.get("GTEST_OUTPUT", "")
        if wanted.startswith(PREFIX):
            path = pathlib.Path(wanted.removeprefix(PREFIX))
            path.parent.mkdir(parents=True, exist_ok=True)
            junit.write_cases(path, list(result.cases.values()))
        return result


def main() -> None:
    sys.argv = sys.argv[1:]
    script = pathlib.Path(sys.argv[0])
    sys.path[0] = str(script.parent)
    for name in OF_A_HOOK:
        os.environ.pop(name, None)
    # unittest.main uses the class of this name when a script calls it.
    unittest.runner.TextTestRunner = Runner
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
