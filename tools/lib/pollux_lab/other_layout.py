# SPDX-License-Identifier: BSD-3-Clause
"""`l2fwd` as another version may be: of a copy of this checkout in which mbufs have longer headers."""

import fcntl
import pathlib
import shutil
import subprocess

from .errors import LabError

ROOT = pathlib.Path(__file__).resolve().parents[3]
WORK = ROOT / "build/other-layout"
NAME = "l2fwd_other_layout"
HEADER = pathlib.Path("include/pollux/mem/mbuf.hpp")
CHANGES = (("kHeaderSize = 192;", "kHeaderSize = 256;"),
           ("std::array<std::uint32_t, 7> reserved_", "std::array<std::uint32_t, 23> reserved_"))
NOT_COPIED = ("build", "docs", "tests")
SECONDS = 3600


def l2fwd() -> pathlib.Path:
    """Built by the first call, which takes minutes. What has not changed since is not built again."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for top in ROOT.iterdir():
            if top.name not in NOT_COPIED and not top.name.startswith("."):
                for file in [top] if top.is_file() else top.rglob("*"):
                    _copy(file.relative_to(ROOT))
        options = [f"-DPOLLUX_BUILD_{part}=OFF" for part in ("TESTS", "TOOLS", "BENCH", "PYTHON")]
        _run("cmake", "-G", "Ninja", "-S", str(WORK / "source"), "-B", str(WORK / "build"), "-DCMAKE_BUILD_TYPE=Release",
             "-DPOLLUX_TOGETHER=ON", "-DPOLLUX_COMPILER_CACHE=ON", *options)
        _run("cmake", "--build", str(WORK / "build"), "--target", "l2fwd")
        shutil.copy2(WORK / "build/examples/l2fwd", WORK / NAME)
    return WORK / NAME


def _copy(file: pathlib.Path) -> None:
    """Only what differs: the build looks at the times."""
    if (ROOT / file).is_dir() or "target" in file.parts:
        return
    content = (ROOT / file).read_bytes()
    if file == HEADER:
        for before, after in CHANGES:
            if content.count(before.encode()) != 1:
                raise LabError(f"{file} has no '{before}'", f"change {__file__}, too")
            content = content.replace(before.encode(), after.encode())
    copy = WORK / "source" / file
    if not copy.exists() or copy.read_bytes() != content:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        shutil.copymode(ROOT / file, copy)


def _run(*words: str) -> None:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise LabError(f"{' '.join(words[:2])} has failed", "see what it says", detail=done.stdout[-3000:])
