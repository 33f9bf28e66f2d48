# SPDX-License-Identifier: BSD-3-Clause
"""Builds mutants in copies of the sources and runs the tests that concern them."""

import concurrent.futures
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import queue
import resource
import subprocess
import time

from . import concerned
from .errors import LabError
from .mutants import Mutant
from .server import die_with_parent

KILLED, SURVIVED, NOT_BUILT, SAME = "killed", "survived", "did not build", "same code"

CONFIGURE_SECONDS, BUILD_SECONDS = 120, 1800
MUTANT_BUILD_SECONDS = 600
TIME_FACTOR, EXTRA_SECONDS = 4, 20  # the time limit of a test program: this factor of its time without a mutant, plus these seconds
PATIENCE = 5  # the factor of this limit after a program did not end in time
HUNG = 124    # the status of such a program
WITHOUT_LONG = "--gtest_filter=-*.LongRun*"  # a case of minutes, which ctest leaves to the long tests, too
MEMORY_BYTES = 4 << 30              # the limit of a test program's data, since a mutant may allocate without end


@dataclasses.dataclass(frozen=True)
class MutantResult:
    mutant: Mutant
    state: str
    seconds: float
    detail: str  # the test that killed it, or the programs that it survived


class BuildCopy:
    """A copy of the sources with its own build. A copy of an earlier run is updated."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path, preset: str):
        self._root, self._source, self._preset = root, folder, preset
        self._build = folder / "build" / preset
        self._digests: dict[str, str] = {}
        self.seconds: dict[str, float] = {}  # what each program takes without a mutant

    def build(self, programs: list[str]) -> None:
        """Builds these programs without a mutant."""
        self._copy()
        self._require_success(configuring(self._preset), CONFIGURE_SECONDS)
        self._require_success(self._building(programs), BUILD_SECONDS)
        self._digests = {program: self._digest(program) for program in programs}

    def time(self, programs: list[str]) -> None:
        """Runs these programs without a mutant; they have to pass."""
        for program in programs:
            begun = time.monotonic()
            status, output = self._run(program, BUILD_SECONDS)
            if status != 0:
                raise LabError(f"the tests in {program} fail without any mutant", "fix them first", output[-3000:])
            self.seconds[program] = time.monotonic() - begun

    def run(self, mutant: Mutant) -> MutantResult:
        file = self._source / mutant.path
        original = file.read_text()
        begun = time.monotonic()
        try:
            file.write_text(mutant.apply(original))
            state, detail = self._run_tests(concerned.programs(mutant.path))
        finally:
            file.write_text(original)
        return MutantResult(mutant, state, time.monotonic() - begun, detail)

    def _run_tests(self, programs: list[str]) -> tuple[str, str]:
        status, output = self._command(self._building(programs), MUTANT_BUILD_SECONDS)
        if status != 0:
            errors = [line for line in output.splitlines() if " error: " in line]
            return NOT_BUILT, errors[0].strip() if errors else f"status {status}"
        changed = [program for program in programs if self._digest(program) != self._digests[program]]
        if not changed:
            return SAME, "the compiler generates the same code"
        for program in changed:
            if detected := self._detected_by(program):
                return KILLED, f"{program}{detected}"
        return SURVIVED, "passed " + ", ".join(changed)

    def _detected_by(self, program: str) -> str:
        """How the program detects the mutant; empty if it passes. It has to fail twice or to hang twice, since on a busy machine a test may
        fail or be late for other reasons. After a hang it has much more time."""
        seconds, hangs, failures = TIME_FACTOR * self.seconds[program] + EXTRA_SECONDS, 0, 0
        while hangs < 2 and failures < 2:
            status, output = self._run(program, seconds)
            if status == 0:
                return ""
            if status == HUNG:
                hangs += 1
                seconds *= PATIENCE
            else:
                failures += 1
        if hangs == 2:
            return " did not end"
        failed = [line.split("]")[1].split(" (")[0].strip() for line in output.splitlines() if line.startswith("[  FAILED  ]")]
        return f": {failed[0] if failed else f'status {status}'}"

    def _copy(self) -> None:
        """Copies the sources. Unchanged files keep their times, so that they are not built again."""
        wanted = set()
        for file in sources(self._root):
            wanted.add(file)
            target, source = self._source / file, self._root / file
            content = source.read_bytes()
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            target.chmod(source.stat().st_mode & 0o777)
        for file in sources(self._source):
            if file not in wanted:
                (self._source / file).unlink()

    def _building(self, programs: list[str]) -> list[str]:
        return ["cmake", "--build", str(self._build), "--target", *(f"{program}_test" for program in programs)]

    def _program(self, program: str) -> pathlib.Path:
        found = list((self._build / "tests").rglob(f"{program}_test"))
        if len(found) != 1:
            raise LabError(f"{len(found)} programs are called {program}_test below {self._build}/tests")
        return found[0]

    def _digest(self, program: str) -> str:
        return hashlib.sha256(self._program(program).read_bytes()).hexdigest()

    def _run(self, program: str, seconds: float) -> tuple[int, str]:
        path = self._program(program)
        return self._command([str(path), "--gtest_brief=1", "--gtest_fail_fast", WITHOUT_LONG], seconds, path.parent, limited=True)

    def _require_success(self, command: list[str], seconds: float) -> None:
        status, output = self._command(command, seconds)
        if status != 0:
            raise LabError(f"{' '.join(command)} failed without any mutant", "", output[-3000:])

    def _command(self, command: list[str], seconds: float, folder: pathlib.Path | None = None, limited: bool = False) -> tuple[int, str]:
        """Runs a command and ends its children. Returns its status, or HUNG if it did not end in time, and its output."""
        def begin():
            die_with_parent()
            if limited:
                resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        log = self._source.parent / f"{self._source.name}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, cwd=folder or self._source, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=begin, close_fds=False)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = HUNG
            finally:
                end(process)
        return status, log.read_text(errors="replace")


def sources(root: pathlib.Path) -> list[pathlib.Path]:
    """Every file below the root, relative to it, without build results."""
    found = []
    for folder, folders, files in os.walk(root):
        here = pathlib.Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name not in (".git", "__pycache__") and here / name != pathlib.Path("build")]
        found += [here / name for name in files if not (pathlib.Path(folder) / name).is_symlink() and here / name != pathlib.Path(".git")]
    return found


def end(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()


def configuring(preset: str) -> list[str]:
    return ["cmake", "--preset", preset, "-DPOLLUX_TOGETHER=OFF", "-DPOLLUX_BUILD_BENCH=OFF", "-DPOLLUX_COMPILER_CACHE=ON"]


def only_run(folder: pathlib.Path):
    """Locks the folder for as long as the returned file is open, here or in a compiler that is left of a killed run."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    os.set_inheritable(lock.fileno(), True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError(f"another run uses {folder}", "wait for it, or name another folder with --folder") from None
    return lock


def prepare(copies: list[BuildCopy], programs: list[str]) -> None:
    """Builds the programs in all copies and runs them in the first: those of the others are the same."""
    for copy in copies:
        copy.build(programs)
    copies[0].time(programs)
    for copy in copies[1:]:
        copy.seconds = copies[0].seconds


def run_all(copies: list[BuildCopy], mutants: list[Mutant], tell) -> list[MutantResult]:
    """Each build copy takes the next mutant that is left. `tell` is called with each result."""
    free: queue.Queue[BuildCopy] = queue.Queue()
    for copy in copies:
        free.put(copy)

    def run(mutant: Mutant) -> MutantResult:
        copy = free.get()
        try:
            result = copy.run(mutant)
        finally:
            free.put(copy)
        tell(result)
        return result

    with concurrent.futures.ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(run, mutants))
