# SPDX-License-Identifier: BSD-3-Clause
"""The part of tools/test after the installation of packages: runs the steps and counts their results."""

import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import time
import traceback
from functools import partial

from . import disk_space, quick, step_table, test_environment
from .background import Background
from .commands import FULL_STEP_SECONDS, STEP_SECONDS, Commands, show_list, tell
from .errors import LabError, UsageError
from .guest import end_on_signals
from .junit import Result
from .processors import processors
from .progress import Progress
from .sources import Sources
from .steps import DEPTHS, FULL, PLAIN, Options, Step, StepRun, reports_of
from .summary import StepTime, Summary

RESULTS = "results.json"  # in build/test-reports: all results, machine-readable


class RunAll:
    def __init__(self, options: Options):
        self._options = options
        self._chosen = step_table.choose(options)
        self._summary = Summary()
        self._commands = Commands(options.root, test_environment.without_settings(os.environ, tell),
                                  FULL_STEP_SECONDS if options.depth == FULL else STEP_SECONDS)
        steps = quick.table([]) if options.quick else [step for step in step_table.STEPS if step.name in self._chosen]
        self._progress = Progress(steps, options.depth)
        self._there: set[str] = set()  # steps that made what others need
        self._sources = Sources(options)

    def run(self) -> int:
        reports = reports_of(self._options.root)
        try:
            shutil.rmtree(reports, ignore_errors=True)
            reports.mkdir(parents=True)
            self._sources.note()
            self._all()
        except (KeyboardInterrupt, SystemExit):
            self._summary.add(Result("interrupted", "failed", suite="run"))
        except LabError as error:
            self._give_up(error.what, error.hint)
        except OSError as error:  # a full disk, a folder of another user
            self._give_up(str(error), disk_space.hint(self._options.root / "build"))
        except Exception:  # a bug in this program must not lose the results so far
            tell(traceback.format_exc())
            self._summary.add(Result("tools/test itself", "failed", detail=traceback.format_exc(), suite="run"))
        return self._sum(reports)

    def _all(self) -> None:
        if self._options.quick:
            self._quick()
            return
        self._summary.add(*step_table.left_out_of(self._options.depth))
        self._say_what_runs()
        if self._options.resume:
            self._take_over()
        self._say_what_is_left_out()
        self._run_each(step_table.FIRST)
        with contextlib.ExitStack() as background:
            for steps in step_table.IN_BACKGROUND:
                background.enter_context(Background(partial(self._run_each, steps), self._commands.end))
            self._run_each(step_table.BESIDE_GUESTS)
        self._run_each(step_table.LAST)

    def _quick(self) -> None:
        steps = quick.table(self._sources.changed())
        names = [step.name for step in steps]
        self._summary.add(*quick.left_out_of([step for step in step_table.STEPS if step.name not in names]))
        for step in steps:
            self._run(step)

    def _take_over(self) -> None:
        """Takes the results of an interrupted run, except of steps that others need which still have to run."""
        finished = self._sources.finished()
        self._chosen = step_table.with_needs(self._chosen - set(finished))
        for name, step in finished.items():
            if name not in self._chosen:
                tell(f"TAKEN     {name}: {len(step.results)} results of a run that ended it {step.time.taken_over}")
                self._summary.add(*step.results)
                self._summary.took(step.time)

    def _say_what_runs(self) -> None:
        steps = [step for step in step_table.STEPS if step.name in self._chosen]
        tell("\n".join([f"THIS RUN  is '{self._options.depth}', on {processors()} processors:",
                        *(f"          {step.name}: {step.what}" for step in steps)]))

    def _say_what_is_left_out(self) -> None:
        if not self._options.only:
            return
        unchosen = [step.name for step in step_table.of_run(self._options.depth) if step.name not in self._chosen]
        self._summary.add(*(Result(name, "skipped", 0, "--only leaves it out", "run") for name in unchosen))
        tell(f"LEFT OUT  by --only, so not tested: {', '.join(unchosen)}")
        tell(f"LEFT OUT  {step_table.JUDGES_ALL}: only a run of all steps shows whether the documents are true")

    def _run_each(self, steps: list[Step]) -> None:
        for step in steps:
            if step.name in self._chosen:
                self._run(step)

    def _run(self, step: Step) -> None:
        if missing := [name for name in step.needs if name not in self._there]:
            self._summary.add(Result(step.name, "skipped", 0, f"it needs {', '.join(missing)}, which failed", "run"))
            return
        def reached(share: float) -> str:
            return self._progress.reached(step.name, share)
        tell(f"STEP      {step.name}: {step.what}{reached(0)}")
        running = StepRun(self._options, self._commands, self._summary, reached)
        start = time.monotonic()
        try:
            if step.function(running) is not False:
                self._there.add(step.name)
        finally:
            reached(1)
            took = StepTime(step.name, time.monotonic() - start, running.processor_seconds)
            self._summary.add(*running.results)
            self._summary.took(took)
        if step.name != step_table.JUDGES_ALL:
            self._sources.note_step(took, running.results)

    def _give_up(self, why: str, hint: str) -> None:
        tell("\n  what to do: ".join(filter(None, [f"tools/test: error: {why}", hint])))
        self._summary.add(Result("tools/test itself", "failed", detail=why, suite="run"))

    def _sum(self, reports: pathlib.Path) -> int:
        status = self._summary.status()
        try:
            self._summary.write(reports / RESULTS, depth=self._options.depth, whole=self._options.whole)
            if status == 0:
                self._sources.note_passed()
        except OSError as error:
            self._give_up(str(error), disk_space.hint(self._options.root / "build"))
        tell("\n".join(self._summary.lines()))
        sys.stderr.flush()
        show_list(self._summary.last_line())
        return self._summary.status()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", default="", help="the folder of the guest's kernel")
    parser.add_argument("--depth", choices=DEPTHS, default=PLAIN)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--only", metavar="STEP[,STEP]")
    parser.add_argument("--quick", action="store_true")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="print the steps")
    action.add_argument("--packages", action="store_true", help="print what has to be installed for these steps")
    given = parser.parse_args()
    only = () if given.only is None else tuple(given.only.split(","))
    options = Options(given.root, given.kernel, given.depth, only, given.quick, given.resume)
    try:
        require_consistent(options)
        if given.list:
            show_list(step_table.listing(step_table.choose(options) if only else set()))
            return 0
        if given.packages:
            print(*(quick.PACKAGES if options.quick else step_table.packages(options)))
            return 0
        end_on_signals()
        return RunAll(options).run()
    except LabError as error:
        print(f"tools/test: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def require_consistent(options: Options) -> None:
    if options.quick and (options.depth != PLAIN or options.only or options.resume):
        raise UsageError("--quick cannot be combined with --ci, --full, --only or --resume", "see tools/test --help")
    if options.resume and (options.depth != FULL or options.only):
        raise UsageError("--resume goes on with an interrupted run of --full", "say tools/test --full --resume, without --only")


if __name__ == "__main__":
    sys.exit(main())
