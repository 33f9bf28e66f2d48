#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the lines of the library's C++ files: all of lib and include, the core, which is the sources of its layers
(lib/**/CMakeLists.txt) with the headers that they include, the public headers, with their types, and port.hpp with the headers that it
includes; and the files that name one setting, keep_fcs."""

import pathlib
import re

import check_includes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PORT = pathlib.Path("include/pollux/net/port.hpp")
TYPE = re.compile(r"^(?:class|struct|enum(?: class)?) (?:POLLUX_API )?[A-Z]\w+(?: final)?(?: :[^;]*)? \{", re.M)
SETTING = re.compile(r"\bkeep_fcs\b")


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
    public = {file for file in edges if file.parts[0] == "include"}
    texts = {file: (ROOT / file).read_text() for file in edges}
    for name, files in (("lib and include", set(edges)), ("the core", core), ("public headers", public),
                        ("port.hpp", check_includes.closure(edges, PORT))):
        print(f"{name}: {sum(len(texts[file].splitlines()) for file in files):,} lines in {len(files)} files")
    print(f"public types: {sum(len(TYPE.findall(texts[file])) for file in public)}")
    print(f"files that name keep_fcs: {sum(bool(SETTING.search(text)) for text in texts.values())}")


main()
