#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs clang-tidy on every source of the library, the examples and the tools, one job per processor.

clang-tidy spends most of its time on headers, so many sources are first checked as one file: 45 sources of the igb driver took 20 s,
and 60 s in four files. If that finds something, perhaps only because two sources use one name for different things, the sources with
findings are checked separately from the others, down to single sources with their own flags; only the findings for single sources
count. A clean source is remembered (clean_marks.py) and is not checked again.

usage: check_tidy.py ROOT BUILD [FILE...]     BUILD contains compile_commands.json; with FILEs, checks only sources that depend on them
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402
import clean_marks  # noqa: E402

SECONDS = 600
MOST_TOGETHER = 90
INCLUDE = re.compile(r'\s*#\s*include\s+(\S+)')
OF_PROGRAMS = ("main", "kUsage")  # names that several programs have
# Sources that compile with no others: <linux/bpf.h> and libpcap's headers have structures of the same names, macros of
# <linux/ethtool.h> those of fields of registers, and a program has one of built_in.cpp and built_in_core.cpp.
APART = ("lib/ports/xdp", "lib/host/network_reader.cpp", "lib/open/built_in_core.cpp")
BURST = re.compile(r'_burst(_\w+)?$')  # one function for several sets of instructions: each source defines the same names


def tool() -> str:
    return os.environ.get("CLANG_TIDY", "clang-tidy")


def commands(root: pathlib.Path, build: pathlib.Path) -> dict[pathlib.Path, str]:
    """The project's sources, each with its compile command."""
    ours = set(check_includes.sources(root))
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if source.is_relative_to(root) and source.relative_to(root) in ours:
            found[source.relative_to(root)] = entry["command"]
    return found


def run_tidy(words: list[str], what: str) -> str:
    """The findings of clang-tidy; empty if there are none."""
    try:
        run = subprocess.run([tool(), "--quiet", *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{what}: {tool()} did not end within {SECONDS} s"
    if run.returncode == -signal.SIGINT:
        raise KeyboardInterrupt  # so that nothing is checked again
    if run.returncode == 0:
        return ""
    return run.stdout.strip() or run.stderr.strip() or f"{tool()} ended with status {run.returncode}"


def flags(command: str) -> list[str]:
    """What of a compile command decides what a source means: its definitions, folders of headers and language."""
    words = shlex.split(command.replace("-isystem ", "-isystem"))
    return [word for word in words if word.startswith(("-D", "-I", "-isystem", "-std=", "-m"))]


def joined(root: pathlib.Path, sources: list[pathlib.Path]) -> tuple[list[str], list[pathlib.Path]]:
    """The lines of all sources, and the source of each line. An include that several sources have is kept only once."""
    lines, origins, seen = [], [], set()
    for number, source in enumerate(sources):
        own = set()
        text = (root / source).read_text().splitlines()
        if source.name == "main.cpp":
            text = [*(f"#define {name} {name}_{number}" for name in OF_PROGRAMS), *text, *(f"#undef {name}" for name in OF_PROGRAMS)]
        for line in text:
            include = INCLUDE.match(line)
            if include:
                header = included(root, source, include[1])
                line = "" if header in seen else f"#include {header}"
                own.add(header)
            lines.append(line)
            origins.append(source)
        seen |= own
    return lines, origins


def included(root: pathlib.Path, source: pathlib.Path, header: str) -> str:
    """The header as an include names it from any folder."""
    ours = check_includes.resolve(root, source, header[1:-1])
    return f'"{root / ours}"' if ours else header


def tidy(root: pathlib.Path, build: pathlib.Path, sources: list[pathlib.Path], words: list[str]) -> dict[pathlib.Path, str]:
    """The findings for each of these sources, which are compiled with these flags."""
    if len(sources) == 1:
        return {sources[0]: run_tidy(["-p", str(build), str(root / sources[0])], str(sources[0]))}
    lines, origins = joined(root, sources)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        together = pathlib.Path(folder, "together.cpp")
        together.write_text("\n".join(lines) + "\n")
        complaint = run_tidy([f"--config-file={root / '.clang-tidy'}", str(together), "--", *words], "several sources")
    if not complaint:
        return dict.fromkeys(sources, "")
    named = {origins[int(number) - 1] for number in re.findall(r"together\.cpp:(\d+):\d+: error:", complaint)}
    apart = [source for source in sources if source in named]
    if len(apart) in (0, len(sources)):
        apart = sources[:len(sources) // 2]
    return tidy(root, build, apart, words) | tidy(root, build, [source for source in sources if source not in apart], words)


def batches(sources: dict[pathlib.Path, str]) -> list[tuple[list[pathlib.Path], list[str]]]:
    """Groups of sources that can be checked as one file, each with its flags. Targets differ in definitions and in
    folders of headers; a group has those of all."""
    alone = [source for source in sources if BURST.search(source.stem)]
    apart = [[source for source in sources if source.is_relative_to(path) and source not in alone] for path in APART]
    others = [source for source in sources if source not in alone and not any(source in some for some in apart)]
    groups = [some[begin:begin + MOST_TOGETHER] for some in (others, *apart) for begin in range(0, len(some), MOST_TOGETHER)]
    return [(group, list(dict.fromkeys(word for source in group for word in flags(sources[source]))))
            for group in [*groups, *([source] for source in alone)]]


def main() -> int:
    root, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    only = {pathlib.Path(word) for word in sys.argv[3:]}
    known = clean_marks.folder("clang-tidy")
    common = clean_marks.installed([tool()]) + (root / ".clang-tidy").read_bytes()
    edges = check_includes.graph(root)

    waiting, marks, compiled = {}, {}, commands(root, build)
    if not compiled:
        print(f"{build}/compile_commands.json names no source of the library")
        return 1
    for source, command in sorted(compiled.items()):
        files = check_includes.closure(edges, source)
        if only and not files & only:
            continue
        mark = known / clean_marks.key(root, files, command, common)
        if not mark.exists():
            waiting[source], marks[source] = command, mark

    complaints = []
    with check_includes.workers() as pool:
        jobs = [pool.submit(tidy, root, build, group, command) for group, command in batches(waiting)]
        for job in concurrent.futures.as_completed(jobs):
            for source, complaint in job.result().items():
                if complaint:
                    complaints.append(complaint.replace(f"{root}/", ""))
                else:
                    clean_marks.remember(marks[source], root, check_includes.closure(edges, source), waiting[source], common)
    print("\n".join(sorted(complaints)), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
