# SPDX-License-Identifier: BSD-3-Clause
"""Builds and tests the crates of lib/rust and the examples in Rust, without a network, and writes each case as pollux_lab.run_unittest does.

usage: crates.py short|long CARGO LIBRARY FOLDER
  short    the crates' own tests, the example hello, and whether the bindings are those of the header
  long     the tests under valgrind, and the example that forwards with tokio
  CARGO    the program; LIBRARY: libpollux-c.so; FOLDER: for what is built
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from pollux_lab import junit
from pollux_lab.junit import Result
from pollux_lab.run_unittest import PREFIX

ROOT = pathlib.Path(__file__).resolve().parents[3]
CRATES, REGISTRY = ROOT / "lib/rust", pathlib.Path("/usr/share/cargo/registry")  # Debian's crates
CASE = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", re.M)
PROGRAM = re.compile(r"^ +(?:Running (?:unittests )?(\S+)|Doc-tests (\S+))", re.M)
WHERE = re.compile(r"(\w+)\.rs - .*\(line (\d+)\)")


class Crates:
    def __init__(self, cargo: str, library: str, folder: str):
        self.cargo, self.folder = cargo, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        found = pathlib.Path(library).parent
        (self.folder / "pollux-c.pc").write_text(f"Name: pollux-c\nDescription: of this build\nVersion: 0.9.0\nLibs: -L{found} -lpollux-c\n")
        # cargo writes Cargo.lock beside a program's Cargo.toml, and a checkout may be read-only.
        shutil.rmtree(self.folder / "examples", ignore_errors=True)
        shutil.copytree(ROOT / "examples/rust", self.folder / "examples/rust", ignore=shutil.ignore_patterns("target", "Cargo.lock"))
        (self.folder / "lib").unlink(missing_ok=True)
        (self.folder / "lib").symlink_to(ROOT / "lib")
        self.words = os.environ | {
            "PATH": f"{pathlib.Path(cargo).parent}:{os.environ['PATH']}", "CARGO_HOME": str(self.folder / "home"),
            "CARGO_TARGET_DIR": str(self.folder / "target"), "CARGO_NET_OFFLINE": "true", "CARGO_PROFILE_DEV_DEBUG": "0",
            "PKG_CONFIG_PATH": str(self.folder), "LD_LIBRARY_PATH": str(found), "RUST_BACKTRACE": "0"}
        self.results: list[Result] = []

    def run(self, words: list, cwd: pathlib.Path = CRATES, limit: float = 280, **more) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in words], cwd=cwd, env=self.words, timeout=limit, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, **more)

    def build(self, *words: str, cwd: pathlib.Path = CRATES) -> subprocess.CompletedProcess:
        replace = ("--config", 'source.crates-io.replace-with="debian"', "--config", f'source.debian.directory="{REGISTRY}"')
        return self.run([self.cargo, *replace, *words], cwd=cwd)

    def note(self, name: str, passed: bool, detail: str, begun: float = 0.0) -> None:
        seconds = time.monotonic() - begun if begun else 0.0
        self.results.append(Result(name, "passed" if passed else "failed", seconds, "" if passed else detail[-3000:]))
        print(f"{name}: {self.results[-1].state}{'' if passed else chr(10) + detail}", flush=True)

    def skip(self, name: str, why: str) -> None:
        self.results.append(Result(name, "skipped", detail=why))
        print(f"{name}: skipped: {why}", flush=True)

    def tests(self) -> None:
        """Each test of the crates is a case: frames.shared_bytes_are_not_written, documentation.lib_line_47."""
        done = self.build("test", "--locked", "--no-fail-fast")
        programs = list(PROGRAM.finditer(done.stdout))
        for found, after in zip(programs, [*programs[1:], None]):
            text = done.stdout[found.end():after.start() if after else None]
            path = found.group(1) or ""
            group = "documentation" if not path else "unit" if path.startswith("src/") else pathlib.Path(path).stem
            for name, outcome in CASE.findall(text):
                line = WHERE.search(name)
                self.note(f"{group}.{'_line_'.join(line.groups()) if line else name.rpartition('::')[2]}", outcome == "ok", text)
        self.note("crates.all_tests_pass", done.returncode == 0 and len(self.results) > 25, done.stdout)

    def hello(self) -> None:
        begun = time.monotonic()
        done = self.build("run", "--quiet", cwd=self.folder / "examples/rust/hello")
        self.note("examples.hello_sees_the_loss", done.returncode == 0 and '"lost":1' in done.stdout, done.stdout, begun)

    def bindings(self) -> None:
        """The bindings are what bindgen makes of the header, and its tests of their layout pass."""
        name, begun = "bindings.are_those_of_the_header", time.monotonic()
        for program in ("bindgen", "rustfmt"):
            if shutil.which(program, path=self.words["PATH"]) is None:
                return self.skip(name, f"{program} is not installed")
        generate, checked = CRATES / "pollux-sys/generate", self.folder / "layout.rs"
        plain = self.run([generate, "--no-layout-tests"])
        self.note(name, plain.stdout == (CRATES / "pollux-sys/src/bindings.rs").read_text(),
                  f"run {generate} again, as its comment says\n{plain.stdout[-500:]}", begun)
        begun = time.monotonic()
        checked.write_text("#![allow(non_camel_case_types, dead_code)]\n" + self.run([generate]).stdout)
        built = self.run(["rustc", "--edition", "2021", "--test", "-o", self.folder / "layout", checked])
        tested = self.run([self.folder / "layout"]) if built.returncode == 0 else built
        self.note("bindings.have_the_layout_of_c", tested.returncode == 0 and "pollux_frame" in tested.stdout, tested.stdout, begun)

    def valgrind(self) -> None:
        if shutil.which("valgrind") is None:
            return self.skip("valgrind.tests", "valgrind is not installed")
        built = self.build("test", "--locked", "--no-run")
        programs = re.findall(r"Executable tests/(\w+)\.rs \((\S+)\)", built.stdout)
        self.note("valgrind.has_programs", len(programs) >= 3, built.stdout)
        for name, program in programs:
            begun = time.monotonic()
            done = self.run(["valgrind", "--quiet", "--error-exitcode=9", program, "--test-threads=1"], limit=550)
            self.note(f"valgrind.{name}", done.returncode == 0, done.stdout, begun)

    def forward(self) -> None:
        """The ports' frames reach the other one, and Ctrl-C ends it."""
        name, begun = "examples.forward_with_tokio", time.monotonic()
        if not list(REGISTRY.glob("tokio-1.*")):
            return self.skip(name, "tokio is not installed (package librust-tokio-dev)")
        built = self.build("build", "--quiet", cwd=self.folder / "examples/rust/forward")
        if built.returncode != 0:
            return self.note(name, False, built.stdout)
        with subprocess.Popen([self.folder / "target/debug/forward", "null:?rx=64", "null:"], env=self.words, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as program:
            first = program.stdout.readline()
            time.sleep(1)
            program.send_signal(signal.SIGINT)
            said = first + program.communicate(timeout=60)[0]
        counts = re.findall(r"^from \S+ (\d+) frames$", said, re.M)
        self.note(name, program.returncode == 0 and len(counts) == 2 and int(counts[0]) > 1000, said, begun)


def main(length: str, cargo: str, library: str, folder: str) -> int:
    crates = Crates(cargo, library, folder)
    for part in (crates.tests, crates.hello, crates.bindings) if length == "short" else (crates.valgrind, crates.forward):
        try:
            part()
        except (subprocess.SubprocessError, OSError) as error:
            crates.note(f"crates.{part.__name__}", False, str(error))
    wanted = os.environ.get("GTEST_OUTPUT", "")
    if wanted.startswith(PREFIX):
        path = pathlib.Path(wanted.removeprefix(PREFIX))
        path.parent.mkdir(parents=True, exist_ok=True)
        junit.write_cases(path, crates.results)
    return any(result.state == "failed" for result in crates.results)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
