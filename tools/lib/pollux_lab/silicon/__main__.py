# SPDX-License-Identifier: BSD-3-Clause
"""One run of tools/silicon: look, ask, take the ports, test, give them back, write the archive."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from pollux_lab.errors import LabError

from . import archive, decide, steps
from .binding import Binding, only_run, report, tell, unbind
from .programs import Interrupted, Programs, deferred, find, uninterrupted, unwind_on_signals
from .results import Results

LOAD_SECONDS = 60


class Session:
    """One run: its options, its results, and where its archive lies."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self._options = options
        self._programs = Programs(options.programs, folder / "logs")
        self._folder = folder
        self.results = Results()
        self.target = _archive_path(options.output)
        self.given_back = True
        self.interrupted = 0
        self.error = ""

    def run(self) -> None:
        ports = decide.look(str(self._programs.paths["pollux"]), self._options.ports)
        found = decide.found_text(ports)
        print(found)
        if not self._allowed(ports):
            return
        tell("")
        try:
            self._take_and_test(ports)
        except Interrupted as interrupted:
            self.interrupted = interrupted.number
        finally:
            with uninterrupted():
                self._skip_what_did_not_run()
                self._write_archive(ports, found)

    def end(self) -> int:
        """Prints the summary, and returns the status."""
        print(f"\n{self.results.as_text()}\n{self.target}: {self.results.last_line()}", flush=True)
        if self.interrupted:
            return 128 + self.interrupted
        return 1 if self.results.count("failed") or not self.results.count("passed") else 0

    def _allowed(self, ports: list[decide.Port]) -> bool:
        """Says what will be done, and asks. Raises LabError if it must not be done."""
        decision = decide.decide(ports)
        verdict = decide.verdict_text(decision, self._options.force)
        print(decide.plan_text(ports, [steps.STEPS[name][1] for name in self._options.only], str(self.target)))
        print(verdict, flush=True)
        if not decision.may_go_on(self._options.force):
            raise LabError("the ports are not taken, for the reasons above; nothing was changed")
        if self._options.look:
            return False
        if self._options.yes:
            return True
        if not sys.stdin.isatty():
            raise LabError("there is no terminal to ask on; nothing was changed", "add --yes if all of this is to be done")
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise LabError("not confirmed; nothing was changed")
        return True

    def _take_and_test(self, ports: list[decide.Port]) -> None:
        taken = decide.taken(ports)
        binding = Binding(self._programs, self._options.ports, taken, self._options.force)
        # Whatever happens, the ports are given back: by this process, or by `pollux bind --hold` if this one dies.
        try:
            # Never ended halfway, which could leave a port without any driver.
            with self._step("bind"), deferred():
                for command in decide.modules_to_load(ports):
                    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOAD_SECONDS)
                binding.take()
            self._test(decide.kind_of(ports[0].device))
        except (LabError, OSError, subprocess.SubprocessError) as error:
            self.error = str(error)
            tell(f"silicon: {error}")
        finally:
            with uninterrupted(), self._step("give back"):
                self.given_back = report(binding.give_back(), taken)

    def _test(self, kind: str) -> None:
        uris = [f"vfio:{address}" for address in self._options.ports]
        run = steps.Run(self._programs, uris, self._folder, self.results, self._options.quick, self._options.probes, kind)
        for name in self._options.only:
            with self._step(name):
                steps.STEPS[name][0](run)

    def _skip_what_did_not_run(self) -> None:
        begun = {step["name"] for step in self.results.steps}
        why = "the run was interrupted" if self.interrupted else "an earlier step failed"
        for name in self._options.only:
            if name not in begun:
                self.results.add(name, "the step", "skipped", why)
        if self.error:
            self.results.add("run", "the run", "failed", self.error)
        if not self.given_back:
            self.results.add("run", "the ports are given back", "failed", "see the messages")

    def _write_archive(self, ports: list[decide.Port], found: str) -> None:
        facts = {"version": self._options.version, "uris": self._options.ports, "found": found,
                 "ports": [dataclasses.asdict(port) for port in ports], "interrupted": self.interrupted,
                 "given_back": self.given_back, "quick": self._options.quick}
        try:
            archive.write(self._folder, self.target, self.results, facts, self._options.ports, archive.Scrubber())
        except OSError as error:
            raise LabError(f"the archive cannot be written: {error}", "free some space, or name another file with --output") from error

    @contextlib.contextmanager
    def _step(self, name: str):
        tell(f"[{name}] ...")
        begun = time.monotonic()
        try:
            yield
        except Interrupted as interrupted:
            self.results.add(name, "the step", "skipped", f"interrupted by {interrupted}")
            raise
        finally:
            self.results.steps.append({"name": name, "seconds": round(time.monotonic() - begun, 1)})


def _archive_path(named: str | None) -> pathlib.Path:
    target = pathlib.Path(named or f"pollux-silicon-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz").absolute()
    if not target.name.endswith(".tar.gz") or target.is_dir() or not os.access(target.parent, os.W_OK):
        raise LabError(f"the archive cannot be written to {target}", "name a file that ends with .tar.gz, in a folder that can be written to")
    return target


def main() -> int:
    options = arguments()
    unwind_on_signals()
    if options.look:
        with run_folder() as folder:
            Session(options, folder).run()
        return 0
    with only_run():
        if options.give_back:
            with uninterrupted():
                return 0 if report(unbind(str(find(options.programs, "pollux")), options.ports), options.ports) else 1
        with run_folder() as folder:
            session = Session(options, folder)
            session.run()
    return session.end()


@contextlib.contextmanager
def run_folder():
    with tempfile.TemporaryDirectory(prefix="pollux-silicon-") as work:
        folder = pathlib.Path(work)
        (folder / "logs").mkdir()
        yield folder


def chosen_steps(named: list[str] | None, one_port: bool) -> list[str]:
    """The steps of a run, in their order. `named`: those that the user wants; None: all that are possible."""
    possible = steps.ONE_PORT if one_port else steps.TWO_PORTS
    if named is None:
        return possible
    if unknown := [name for name in named if name not in possible]:
        raise LabError(f"there is no step '{unknown[0]}' for {'one port' if one_port else 'two ports'}", f"the steps are {', '.join(possible)}")
    wanted = set(named)
    if one_port and wanted - {"probes"}:
        wanted.add("loopback")  # the others need to know where frames turn back
    return [name for name in possible if name in wanted]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/silicon")
    parser.add_argument("ports", nargs="*")
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--version", default="unknown")
    parser.add_argument("--output")
    parser.add_argument("--only", type=lambda text: text.split(","), default=None)
    parser.add_argument("--probes", default="")
    for flag in ("--yes", "--force", "--look", "--quick", "--give-back"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    options.only = chosen_steps(options.only, one_port=len(options.ports) == 1)
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"tools/silicon: error: {error}")
    except Interrupted as interrupted:
        sys.exit(128 + interrupted.number)
