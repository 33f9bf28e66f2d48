# SPDX-License-Identifier: BSD-3-Clause
"""The build backend of pyproject.toml (PEP 517): builds by CMake, and packs a wheel that has the library in it.

pip install --config-settings build=build/release .     # in a folder where the library is built already
"""

import base64
import hashlib
import os
import pathlib
import platform
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = ("TESTS", "BENCH", "EXAMPLES", "TOOLS")


def get_requires_for_build_wheel(config_settings=None):
    return []  # CMake and the compiler are the distribution's


def build(folder: pathlib.Path) -> pathlib.Path:
    """The folder of the package that has been built."""
    cache = folder / "CMakeCache.txt"
    if not cache.exists():
        off = [f"-DPOLLUX_BUILD_{name}=OFF" for name in OPTIONS]
        headers = sysconfig.get_path("include")
        subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DPOLLUX_TOGETHER=ON",
                        "-DPOLLUX_WARNINGS_AS_ERRORS=OFF", "-DPOLLUX_BUILD_PYTHON=ON", f"-DPython3_EXECUTABLE={sys.executable}",
                        f"-DPython3_INCLUDE_DIR={headers}", *off], check=True)  # fmt: skip
    elif "POLLUX_BUILD_PYTHON:BOOL=ON" not in cache.read_text():  # off in a build without tests
        subprocess.run(["cmake", "-DPOLLUX_BUILD_PYTHON=ON", folder], check=True)
    subprocess.run(["cmake", "--build", folder, "--target", "pollux_python"], check=True)
    return folder / "python" / "pollux"


def version() -> str:
    return re.search(r"^project\(pollux VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]


def metadata() -> str:
    return f"""Metadata-Version: 2.1
Name: pollux
Version: {version()}
Summary: Network cards driven from userspace, and in-process cards to test with
License: BSD-3-Clause
Requires-Python: >=3.11
Classifier: Operating System :: POSIX :: Linux
Provides-Extra: scapy
Requires-Dist: scapy >=2.5 ; extra == 'scapy'
"""


def add_info(add: Callable[[str, bytes], None], info: str) -> None:
    """What pip and pytest read of the package."""
    add(f"{info}/METADATA", metadata().encode())
    add(f"{info}/entry_points.txt", b"[pytest11]\npollux = pollux.testing\n")


def install(build_folder: str, folder: str) -> None:
    """Puts a package that has been built into a folder of modules. The library for C is that of the system."""
    target = pathlib.Path(folder)

    def add(name: str, content: bytes) -> None:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)

    for file in pathlib.Path(build_folder, "python/pollux").iterdir():
        if file.is_file() and not file.name.startswith("lib"):
            add(f"pollux/{file.name}", file.read_bytes())
    add_info(add, f"pollux-{version()}.dist-info")


class Wheel:
    """A wheel that is being written."""

    def __init__(self, path: pathlib.Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._records: list[str] = []

    def add(self, name: str, content: bytes, executable: bool = False) -> None:
        entry = zipfile.ZipInfo(name)  # of 1980, so that equal files make an equal wheel
        entry.external_attr = (0o755 if executable else 0o644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(entry, content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self._records.append(f"{name},sha256={digest},{len(content)}")

    def close(self, info: str) -> None:
        self._zip.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*self._records, f"{info}/RECORD,,", ""]))
        self._zip.close()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    folder = pathlib.Path((config_settings or {}).get("build", "build/python"))
    package = build(folder if folder.is_absolute() else ROOT / folder)
    tag = f"cp311-abi3-linux_{platform.machine()}"
    name, info = f"pollux-{version()}-{tag}.whl", f"pollux-{version()}.dist-info"
    wheel = Wheel(pathlib.Path(wheel_directory) / name)
    for file in sorted(package.iterdir()):
        if file.is_file():
            wheel.add(f"pollux/{file.name}", file.read_bytes(), executable=os.access(file, os.X_OK))
    for licence in sorted((ROOT / "LICENSES").iterdir()):
        wheel.add(f"{info}/licenses/{licence.name}", licence.read_bytes())
    add_info(wheel.add, info)
    wheel.add(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: pollux_build\nRoot-Is-Purelib: false\nTag: {tag}\n".encode())
    wheel.close(info)
    return name
