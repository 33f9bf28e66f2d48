#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles each public header alone, twice in one file: it must include what it needs and cause no warning. Other compilers than the
first find the same missing includes, so they compile all headers in one file, for their warnings.
A clean header is remembered (clean_marks.py) and is not compiled again until it, or a file that it includes, changes.
Private headers and the library's sources take 3 s each, so of these only those that have changed themselves are compiled, by the first
compiler. Of the sources, most builds compile only groups, in which one has what another includes.

usage: check_headers.py ROOT COMPILER... [-- FILE...]     with FILEs, checks only public headers that depend on them, and the private ones
                                                          and sources among them
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402
import clean_marks  # noqa: E402

FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wsign-conversion",
         "-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual", "-Wcast-align", "-Werror", '-DPOLLUX_VERSION="0"', "-x", "c++", "-"]
SECONDS = 120
OTHER_PROCESSORS = {pathlib.Path("lib/drivers/intel/queue/neon.hpp")}
NEVER_IN_A_GROUP = re.compile(r"_(avx2|avx512|neon)\.cpp$")  # they have flags of their own


def compile_in_turn(root: pathlib.Path, compiler: str, headers: list[pathlib.Path], what: str) -> str:
    """Compiles a file that includes each header twice, or a source once. The compiler's complaints; empty if there are none."""
    lines = "".join(f'#include "{header.relative_to(header.parts[0])}"\n' * (2 if header.suffix == ".hpp" else 1) for header in headers)
    folders = [f"-I{root / folder}" for folder in sorted({"include", *(header.parts[0] for header in headers)})]
    try:
        run = subprocess.run([compiler, *folders, *FLAGS], input=lines, capture_output=True, text=True,
                             timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{what}: {compiler} did not end within {SECONDS} s"
    return "" if run.returncode == 0 else f"{what}, with {compiler}:\n{run.stderr.strip()}"


def main() -> int:
    words = sys.argv[1:]
    only = set()
    if "--" in words:
        only = {pathlib.Path(word) for word in words[words.index("--") + 1:]}
        words = words[:words.index("--")]
    root, compilers = pathlib.Path(words[0]).resolve(), words[1:]
    edges = check_includes.graph(root)
    headers = [path for path in edges if path.parts[0] == "include" and path.suffix == ".hpp"]
    private = [path for path in edges if path.parts[0] == "lib" and path in only - OTHER_PROCESSORS and not NEVER_IN_A_GROUP.search(path.name)]
    if only:
        headers = [header for header in headers if check_includes.closure(edges, header) & only]
    if not headers and not only:
        print(f"{root}/include contains no header to check")
        return 1
    known, common = clean_marks.folder("headers"), clean_marks.installed(compilers)
    marks = {header: known / clean_marks.key(root, check_includes.closure(edges, header), " ".join(compilers + FLAGS), common)
             for header in headers + private}
    waiting = [header for header in headers if not marks[header].exists()]
    waiting_private = [header for header in private if not marks[header].exists()]
    first, *others = compilers
    with check_includes.workers() as pool:
        alone = {header: pool.submit(compile_in_turn, root, first, [header], f"{header} alone") for header in waiting + waiting_private}
        together = [pool.submit(compile_in_turn, root, compiler, waiting, "all headers") for compiler in others if waiting]
        warnings = [job.result() for job in together if job.result()]
        complaints = warnings + [job.result() for job in alone.values() if job.result()]
        for header, job in alone.items():
            if not warnings and not job.result():
                clean_marks.remember(marks[header], root, check_includes.closure(edges, header), " ".join(compilers + FLAGS), common)
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
