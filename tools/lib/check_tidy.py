#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs clang-tidy over every source of the library, the examples and the tools, as many at once as there are processors.

What was found clean is remembered under a hash of all that the verdict depends on, and not looked at again.

usage: check_tidy.py ROOT BUILD [FILE...]     BUILD holds compile_commands.json; with FILEs, only what depends on them
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402

SECONDS = 300


def tool() -> str:
    return os.environ.get("CLANG_TIDY", "clang-tidy")


def commands(root: pathlib.Path, build: pathlib.Path) -> dict[pathlib.Path, str]:
    """Each of our sources and how it is compiled."""
    ours = set(check_includes.sources(root))
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if source.is_relative_to(root) and source.relative_to(root) in ours:
            found[source.relative_to(root)] = entry["command"]
    return found


def key(root: pathlib.Path, files: set[pathlib.Path], command: str, common: bytes) -> str:
    digest = hashlib.sha256(common + command.encode())
    for path in sorted(files):
        digest.update(str(path).encode() + b"\0" + (root / path).read_bytes())
    return digest.hexdigest()


def tidy(root: pathlib.Path, build: pathlib.Path, source: pathlib.Path) -> str:
    """Its complaints; empty if there are none."""
    try:
        run = subprocess.run([tool(), "--quiet", "-p", str(build), str(root / source)], capture_output=True, text=True,
                             timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{source}: {tool()} did not end within {SECONDS} s"
    if run.returncode == 0:
        return ""
    return run.stdout.strip() or run.stderr.strip() or f"{tool()} ended with status {run.returncode}"


def main() -> int:
    root, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    only = {pathlib.Path(word) for word in sys.argv[3:]}
    known = build / "clang-tidy-clean"
    known.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([tool(), "--version"], capture_output=True, check=True).stdout
    common = version + (root / ".clang-tidy").read_bytes()
    edges = check_includes.graph(root)

    waiting = {}
    for source, command in sorted(commands(root, build).items()):
        files = check_includes.closure(edges, source)
        if only and not files & only:
            continue
        mark = known / key(root, files, command, common)
        if not mark.exists():
            waiting[source] = mark

    complaints = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = {pool.submit(tidy, root, build, source): source for source in waiting}
        for result in concurrent.futures.as_completed(results):
            source = results[result]
            if result.result():
                complaints.append(result.result().replace(f"{root}/", ""))
            else:
                waiting[source].touch()
    print("\n".join(sorted(complaints)), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
