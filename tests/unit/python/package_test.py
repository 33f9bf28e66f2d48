# SPDX-License-Identifier: BSD-3-Clause
"""The wheel, the types, the example and the chapter of the guide.

usage: package_test.py BUILD
"""

import importlib.metadata
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

import fixture

BUILD = pathlib.Path(sys.argv.pop()).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLE, CHAPTER = ROOT / "examples/python/hello.py", ROOT / "docs/guide/python.md"
HAS_MYPY = importlib.util.find_spec("mypy") is not None
SAID = "[] received; lost on the wire: 1\n"
USE = """
import pollux
from pollux import Frame

def use(port: pollux.Port) -> int:
    frames: list[Frame] = port.rx[0].burst(32)
    for frame in frames:
        hash: int | None = frame.rss_hash
        frame[0:6] = bytes(6)
        kinds: pollux.PacketType = frame.packet_type
    port.change(mtu=9000)
    return port.tx[0].burst(frames)

async def later(port: pollux.Port) -> list[Frame]:
    return await port.rx[0].frames()
"""


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=280, **more)


class Package(unittest.TestCase):
    def test_pip_installs_it(self):
        """Into an environment that has nothing else; the interpreter finds the library in the wheel."""
        with tempfile.TemporaryDirectory() as folder:
            python = f"{folder}/bin/python3"
            for words in (("/usr/bin/python3", "-m", "venv", folder),
                          (python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation", "--no-index",
                           "--config-settings", f"build={BUILD}", ROOT)):  # fmt: skip
                made = run(*words)
                self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
            ran = run(python, "-I", "-W", "error", "-X", "dev", EXAMPLE, cwd="/")
            self.assertEqual((ran.stdout, ran.stderr), (SAID, ""))
            found = run(python, "-I", "-c", "import pollux; print(pollux.__file__, pollux.__version__)", cwd="/")
            self.assertTrue(found.stdout.startswith(folder), found.stdout + found.stderr)
            checked = run(python, "-m", "pip", "check", "--disable-pip-version-check")
            self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_the_wheel(self):
        sys.path.insert(0, str(ROOT / "lib/python"))
        self.addCleanup(sys.path.remove, str(ROOT / "lib/python"))
        import pollux_build

        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run([sys.executable, "-c", f"import pollux_build; print(pollux_build.build_wheel({folder!r}, {{'build': {str(BUILD)!r}}}))"],
                                  capture_output=True, text=True, timeout=280, cwd=ROOT / "lib/python")  # fmt: skip
            name = made.stdout.splitlines()[-1]
            self.assertRegex(name, r"^pollux-[0-9.]+-cp311-abi3-linux_x86_64\.whl$")
            with zipfile.ZipFile(f"{folder}/{name}") as wheel:
                names = wheel.namelist()
                wheel.extractall(folder)
            self.assertEqual(names[-1].rsplit("/", 1)[-1], "RECORD")
            for wanted in ("pollux/__init__.py", "pollux/_pollux.abi3.so", "pollux/libpollux-c.so.1", "pollux/py.typed", "pollux/_pollux.pyi"):
                self.assertIn(wanted, names)
            self.assertEqual(pollux_build.version(), fixture.pollux.__version__)
            dynamic = run("readelf", "-d", f"{folder}/pollux/_pollux.abi3.so").stdout
            self.assertEqual(re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic), ["$ORIGIN"])
            needed = run("readelf", "-d", f"{folder}/pollux/libpollux-c.so.1").stdout
            self.assertNotIn("libpci", needed)  # of the GPL

    def test_a_build_without_the_package_gets_it(self):
        """Such as README's, without tests."""
        with tempfile.TemporaryDirectory() as folder:
            cmake = pathlib.Path(folder, "cmake")
            cmake.write_text(f'#!/bin/sh\necho "$@" >> {folder}/said\n')
            cmake.chmod(0o755)
            for state in ("OFF", "ON"):
                pathlib.Path(folder, "CMakeCache.txt").write_text(f"POLLUX_BUILD_PYTHON:BOOL={state}\n")
                made = run(sys.executable, "-B", "-c", f"import pathlib, pollux_build; pollux_build.build(pathlib.Path({folder!r}))",
                           cwd=ROOT / "lib/python", env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})  # fmt: skip
                self.assertEqual(made.returncode, 0, made.stderr)
            build = f"--build {folder} --target pollux_python"
            said = pathlib.Path(folder, "said").read_text().splitlines()
            self.assertEqual(said, [f"-DPOLLUX_BUILD_PYTHON=ON {folder}", build, build])

    def test_the_example(self):
        ran = fixture.run(EXAMPLE.read_text())
        self.assertEqual((ran.stdout, ran.stderr), (SAID, ""))
        self.assertLessEqual(len(EXAMPLE.read_text().split("import pollux\n")[1].strip().splitlines()), 10)

    def test_the_folder_of_a_distribution(self):
        """What debian/rules puts together: the library for C is not in it, and pytest finds the plugin."""
        with tempfile.TemporaryDirectory() as folder:
            made = run(sys.executable, "-B", "-c", f"import pollux_build; pollux_build.install({str(BUILD)!r}, {folder!r})", cwd=ROOT / "lib/python")
            self.assertEqual(made.returncode, 0, made.stderr)
            files = {path.name for path in pathlib.Path(folder, "pollux").iterdir()}
            self.assertEqual({"_pollux.abi3.so", "__init__.py", "py.typed", "libpollux-c.so.1"} & files, {"_pollux.abi3.so", "__init__.py", "py.typed"})
            [plugin] = importlib.metadata.distributions(path=[folder])
            self.assertEqual([entry.value for entry in plugin.entry_points.select(group="pytest11")], ["pollux.testing"])

    def test_the_chapter(self):
        """Its blocks run one after another, as one program."""
        blocks = re.findall(r"^```python\n(.*?)```", CHAPTER.read_text(), re.S | re.M)
        self.assertGreaterEqual(len(blocks), 4)
        ran = fixture.run("\n".join(blocks))
        self.assertEqual((ran.stderr, ran.returncode), ("", 0))

    @unittest.skipUnless(HAS_MYPY, "mypy is not installed: the types of the package were NOT checked")
    def test_the_types(self):
        package = pathlib.Path(fixture.pollux.__file__).parent
        with tempfile.TemporaryDirectory() as folder:
            def check(text):
                program = pathlib.Path(folder) / "program.py"
                program.write_text(text)
                return run("/usr/bin/python3", "-m", "mypy", f"--cache-dir={folder}/cache", "--strict", program, cwd=folder,
                           env={"MYPYPATH": str(package.parent), "PATH": "/usr/bin:/bin"})  # fmt: skip

            checked = check(USE)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            self.assertIn('expected "Frame"', check(USE + "\ndef wrong(port: pollux.Port) -> None:\n    port.tx[0].burst([b'bytes'])\n").stdout)

    @unittest.skipUnless(HAS_MYPY, "mypy is not installed: the stubs were NOT compared with the module")
    def test_the_stubs_are_those_of_the_module(self):
        package = pathlib.Path(fixture.pollux.__file__).parent
        with tempfile.NamedTemporaryFile("w+") as allowed:
            allowed.write("pollux._pollux.Frame.__buffer__\n")  # which Python shows from 3.12 on
            allowed.flush()
            compared = run("/usr/bin/python3", "-m", "mypy.stubtest", "pollux._pollux", "--allowlist", allowed.name, cwd="/tmp",
                           env={"MYPYPATH": str(package.parent), "PYTHONPATH": str(package.parent), "PATH": "/usr/bin:/bin"})  # fmt: skip
        self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)


if __name__ == "__main__":
    unittest.main()
