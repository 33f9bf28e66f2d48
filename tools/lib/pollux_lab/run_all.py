# SPDX-License-Identifier: BSD-3-Clause
"""The part of tools/test after the installation of packages: runs the steps and counts their results."""

import argparse
import os
import pathlib
import shutil
import sys
import time
import traceback

from . import disk_space, step_table, test_environment
from .background import Background
from .commands import Commands, tell
from .errors import LabError
from .guest import end_on_signals
from .junit import Result
from .steps import Options, Step, StepRun, left_out, reports_of
from .summary import StepTime, Summary

RESULTS = "results.json"  # in build/test-reports: all results, machine-readable


class RunAll:
    def __init__(self, options: Options):
        self._options = options
        self._chosen = step_table.choose(options)
        self._summary = Summary()
        self._commands = Commands(options.root, test_environment.without_settings(os.environ, tell))
        self._there: set[str] = set()  # steps that made what others need

    def run(self) -> int:
        reports = reports_of(self._options.root)
        try:
            shutil.rmtree(reports, ignore_errors=True)
            reports.mkdir(parents=True)
            self._all()
        except (KeyboardInterrupt, SystemExit):
            self._summary.add(Result("interrupted", "failed", suite="run"))
        except OSError as error:  # a full disk, a folder of another user
            self._give_up(str(error))
        except Exception:  # a bug in this program must not lose the results so far
            tell(traceback.format_exc())
            self._summary.add(Result("tools/test itself", "failed", detail=traceback.format_exc(), suite="run"))
        return self._sum(reports)

    def _all(self) -> None:
        self._say_what_is_left_out()
        self._run_each(step_table.FIRST)
        with Background(lambda: self._run_each(step_table.IN_BACKGROUND), self._commands.end):
            self._run_each(step_table.BESIDE_GUESTS)
        self._run_each(step_table.LAST)

    def _say_what_is_left_out(self) -> None:
        if not self._options.full:
            self._summary.add(*(left_out(name, why) for name, why in step_table.PLAIN_LEAVES_OUT.items()))
        unchosen = [step.name for step in step_table.of_run(self._options.full) if step.name not in self._chosen]
        self._summary.add(*(Result(name, "skipped", 0, "--only leaves it out", "run") for name in unchosen))
        if unchosen:
            tell(f"LEFT OUT  by --only, so not tested: {', '.join(unchosen)}")
        if step_table.JUDGES_ALL in unchosen:
            tell(f"LEFT OUT  {step_table.JUDGES_ALL}: only a run of all steps shows whether the documents are true")

    def _run_each(self, steps: list[Step]) -> None:
        for step in steps:
            if step.name in self._chosen:
                self._run(step)

    def _run(self, step: Step) -> None:
        if missing := [name for name in step.needs if name not in self._there]:
            self._summary.add(Result(step.name, "skipped", 0, f"it needs {', '.join(missing)}, which failed", "run"))
            return
        tell(f"STEP      {step.name}: {step.what}")
        running = StepRun(self._options, self._commands, self._summary)
        start = time.monotonic()
        try:
            if step.function(running) is not False:
                self._there.add(step.name)
        finally:
            self._summary.add(*running.results)
            self._summary.took(StepTime(step.name, time.monotonic() - start, running.processor_seconds))

    def _give_up(self, why: str) -> None:
        hint = disk_space.hint(self._options.root / "build")
        tell("\n  what to do: ".join(filter(None, [f"tools/test: error: {why}", hint])))
        self._summary.add(Result("tools/test itself", "failed", detail=why, suite="run"))

    def _sum(self, reports: pathlib.Path) -> int:
        try:
            self._summary.write(reports / RESULTS, full=self._options.full, whole=self._options.whole)
        except OSError as error:
            self._give_up(str(error))
        tell("\n".join(self._summary.lines()))
        sys.stderr.flush()
        print(self._summary.last_line(), flush=True)
        return self._summary.status()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", default="", help="the folder of the guest's kernel")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", metavar="STEP[,STEP]")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="print the steps")
    action.add_argument("--packages", action="store_true", help="print what has to be installed for these steps")
    given = parser.parse_args()
    options = Options(given.root, given.kernel, given.full, () if given.only is None else tuple(given.only.split(",")))
    try:
        if given.list:
            print(step_table.listing())
            return 0
        if given.packages:
            print(*step_table.packages(options))
            return 0
        end_on_signals()
        return RunAll(options).run()
    except LabError as error:
        print(f"tools/test: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
