# SPDX-License-Identifier: BSD-3-Clause
"""The graph of includes between the project's files, which the checks of layers and of changed files use."""

import concurrent.futures
import contextlib
import pathlib
import re
from collections.abc import Iterator

from pollux_lab.processors import processors

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(pollux/[^>]+)>)')
FOLDERS = ("include", "lib", "examples", "tools/common", "tools/pktgen", "tools/pollux")
SUFFIXES = (".hpp", ".cpp")


def sources(root: pathlib.Path) -> list[pathlib.Path]:
    """Headers and sources of the library, the examples and the tools, by their paths below `root`."""
    found = (path for folder in FOLDERS for path in sorted((root / folder).rglob("*")))
    return [path.relative_to(root) for path in found if path.suffix in SUFFIXES]


def search_path(source: pathlib.Path) -> list[pathlib.Path]:
    """The folders in which an include of `source` is searched, besides its own folder."""
    places = [pathlib.Path("include"), pathlib.Path("lib")]
    if source.parts[0] == "examples":
        places += [pathlib.Path("examples"), pathlib.Path("tools")]
    if source.parts[0] == "tools":
        places += [pathlib.Path("tools/pollux"), pathlib.Path("tools")]
    return places


def includes(root: pathlib.Path, source: pathlib.Path) -> list[tuple[int, str, pathlib.Path | None]]:
    """Each include of a project file: its line, its text, and the file below `root` (None if that does not exist)."""
    found = []
    for number, line in enumerate((root / source).read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            written = match.group(1) or match.group(2)
            found.append((number, written, resolve(root, source, written)))
    return found


def resolve(root: pathlib.Path, source: pathlib.Path, written: str) -> pathlib.Path | None:
    for place in [source.parent, *search_path(source)]:
        if (root / place / written).is_file():
            return pathlib.Path(place, written)
    return None


def graph(root: pathlib.Path) -> dict[pathlib.Path, list[pathlib.Path]]:
    return {source: [target for _, _, target in includes(root, source) if target] for source in sources(root)}


def closure(edges: dict[pathlib.Path, list[pathlib.Path]], start: pathlib.Path) -> set[pathlib.Path]:
    """`start` and everything it includes, at any depth."""
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += edges.get(node, [])
    return seen


def find_cycle(edges: dict[pathlib.Path, list[pathlib.Path]]) -> list[pathlib.Path]:
    """Files that include each other in a cycle, with the first one repeated at the end; empty if there is no cycle."""
    done: set[pathlib.Path] = set()
    for start in edges:
        trail: list[pathlib.Path] = []
        stack = [(start, iter(edges.get(start, [])))] if start not in done else []
        if stack:
            trail.append(start)
        while stack:
            node, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                trail.pop()
                done.add(node)
            elif target in trail:
                return trail[trail.index(target):] + [target]
            elif target not in done:
                trail.append(target)
                stack.append((target, iter(edges.get(target, []))))
    return []


@contextlib.contextmanager
def workers() -> Iterator[concurrent.futures.Executor]:
    """A pool with one thread per processor. Ctrl-C ends the running jobs, and no other job is started."""
    pool = concurrent.futures.ThreadPoolExecutor(processors())
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
