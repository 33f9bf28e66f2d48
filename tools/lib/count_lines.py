#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the lines of the library's C++ files: all of lib and include, the core, which is the sources of its layers
(lib/**/CMakeLists.txt) with the headers that they include, and port.hpp with the headers that it includes."""

import pathlib
import re

import check_includes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PORT = pathlib.Path("include/pollux/net/port.hpp")


def core_sources() -> set[pathlib.Path]:
    found = set()
    for path in (ROOT / "lib").rglob("CMakeLists.txt"):
        text = path.read_text()
        layers = " ".join(re.findall(r"pollux_layer\(NAME \w+ COMPONENT core\b([^)]*)\)", text))
        for name, values in re.findall(r"\bset\((\w+) ([^)]*)\)", text):
            layers = layers.replace(f"${{{name}}}", f"{values} ${{{name}}}")  # a variable may be set for each architecture
        found |= {path.parent.relative_to(ROOT) / name for name in layers.split() if name.endswith(".cpp")}
    return found


def main() -> None:
    edges = {file: targets for file, targets in check_includes.graph(ROOT).items() if file.parts[0] in ("lib", "include")}
    core = set().union(*(check_includes.closure(edges, source) for source in core_sources()))
    for name, files in (("lib and include", set(edges)), ("the core", core), ("port.hpp", check_includes.closure(edges, PORT))):
        print(f"{name}: {sum(len((ROOT / file).read_text().splitlines()) for file in files):,} lines in {len(files)} files")


main()
