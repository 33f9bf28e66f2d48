#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles each public header alone, twice in one file, with each compiler: it must include what it needs and cause no warning.

usage: check_headers.py ROOT COMPILER... [-- HEADER...]     with HEADERs, checks only headers that depend on them
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402

FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wsign-conversion",
         "-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual", "-Wcast-align", "-Werror", "-x", "c++", "-"]
SECONDS = 120


def compile_alone(root: pathlib.Path, compiler: str, header: pathlib.Path) -> str:
    """The compiler's complaints; empty if there are none."""
    line = f'#include "{header.relative_to("include")}"\n'
    try:
        run = subprocess.run([compiler, f"-I{root / 'include'}", *FLAGS], input=line * 2, capture_output=True, text=True,
                             timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{header} alone: {compiler} did not end within {SECONDS} s"
    return "" if run.returncode == 0 else f"{header} alone, with {compiler}:\n{run.stderr.strip()}"


def main() -> int:
    words = sys.argv[1:]
    only = set()
    if "--" in words:
        only = {pathlib.Path(word) for word in words[words.index("--") + 1:]}
        words = words[:words.index("--")]
    root, compilers = pathlib.Path(words[0]).resolve(), words[1:]
    edges = check_includes.graph(root)
    headers = [path for path in edges if path.parts[0] == "include" and path.suffix == ".hpp"]
    if only:
        headers = [header for header in headers if check_includes.closure(edges, header) & only]
    if not headers and not only:
        print(f"{root}/include contains no header to check")
        return 1
    with check_includes.workers() as pool:
        jobs = [pool.submit(compile_alone, root, compiler, header) for header in headers for compiler in compilers]
        complaints = [job.result() for job in jobs if job.result()]
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
