#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fails on an include that points the wrong way between layers, on one that leads nowhere, and on a cycle of files.

usage: check_layers.py ROOT
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402

# What a layer may include besides itself. "hw/*" means the folder of the same name only: a driver and its model share their
# card's declarations, and nobody else's.
ALLOWED = {
    "base": [],
    "pci": ["base"],
    "mem": ["base"],
    "device": ["base", "mem"],
    "net": ["base", "mem", "device"],
    "hw": ["base", "device"],
    "drivers": ["base", "mem", "device", "net", "hw/*"],
    "models": ["base", "mem", "device", "hw/*"],
    "backends": ["base", "mem", "device"],
    "backends/vfio": ["base", "mem", "device", "pci"],
    "ports": ["base", "mem", "net", "ports/common"],
    "runtime": ["base", "mem", "device", "net"],
    "open": ["base", "mem", "device", "net", "pci", "hw", "drivers", "models", "backends", "ports"],
}
# Layers whose folders are parts that know nothing of each other.
APART = ("hw", "drivers", "models", "backends", "ports")
UMBRELLA = pathlib.Path("include/pollux/pollux.hpp")


def layer_of(path: pathlib.Path) -> str:
    """"mem", "drivers/igb", ...; "examples" and "tools" for what stands upon the library."""
    if path.parts[0] not in ("include", "lib"):
        return path.parts[0]
    parts = path.parts[2:] if path.parts[0] == "include" else path.parts[1:]
    if len(parts) == 1:
        return pathlib.PurePath(parts[0]).stem  # open.hpp, pollux.hpp
    return "/".join(parts[:2]) if parts[0] in APART and len(parts) > 2 else parts[0]


def may_include(layer: str, target: str) -> bool:
    if layer == target:
        return True
    family, _, part = layer.partition("/")
    allowed = ALLOWED.get(layer, ALLOWED.get(family, []))
    target_family, _, target_part = target.partition("/")
    if f"{target_family}/*" in allowed:
        return target_part == part
    return target in allowed or target_family in allowed


def complaint(source: pathlib.Path, target: pathlib.Path) -> str:
    """Why `source` may not include `target`; empty if it may."""
    is_public = target.parts[0] == "include"
    if source.parts[0] == "include" and not is_public:
        return "a public header includes a private file"
    if source.parts[0] == "examples":
        return "" if is_public or target.parts[0] == "examples" else "an example sees public headers only"
    if source.parts[0] not in ("include", "lib") or source == UMBRELLA:
        return ""
    if target == UMBRELLA:
        return "the header that gathers all is for applications"
    layer, target_layer = layer_of(source), layer_of(target)
    if layer.partition("/")[0] not in ALLOWED:
        return f"layer '{layer}' is not known; add it to {pathlib.Path(__file__).name} and to the architecture page"
    if target_layer in ("examples", "tools") or not may_include(layer, target_layer):
        return f"layer '{layer}' may not include layer '{target_layer}'"
    return ""


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    sources = check_includes.sources(root)
    complaints = [] if sources else [f"{root} holds no source to look at"]
    for source in sources:
        for line, written, target in check_includes.includes(root, source):
            why = complaint(source, target) if target else "there is no such file"
            if why:
                complaints.append(f"{source}:{line}: #include \"{written}\": {why}")
    cycle = check_includes.find_cycle(check_includes.graph(root))
    if cycle:
        complaints.append("a cycle of includes: " + " -> ".join(map(str, cycle)))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
