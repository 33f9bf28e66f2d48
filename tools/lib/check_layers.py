#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fails on an include in the wrong direction between layers, on an include of a missing file, on a cycle of files, and on a folder of the
library with layers of several components.

usage: check_layers.py ROOT
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402

# The layers that a layer may include besides itself; the first matching pattern decides. A vendor's cards share the vendor's folder
# and drivers/VENDOR/queue, forward and common. The cards of a family share hw/VENDOR/FAMILY and drivers/VENDOR/FAMILY, too. Drivers of
# paravirtual devices share drivers/paravirtual. Only a driver and its model include their card's declarations.
VENDOR, CARD, FAMILY = "{vendor}", "{card}", "gigabit"
ALLOWED = {
    "base": [],
    "netlink": ["base"],
    "files": ["base"],
    "pci": ["base"],
    "host": ["base", "netlink", "pci"],
    "mem": ["base"],
    "device": ["base", "mem"],
    "net": ["base", "mem", "device"],
    "hw/*": ["base", "device"],
    "hw/*/*": ["base", "device", f"hw/{VENDOR}", f"hw/{VENDOR}/{FAMILY}"],
    "drivers/paravirtual": ["base", "mem", "device", "net"],
    "drivers/*/queue": ["base", "mem", "device", "net", f"hw/{VENDOR}", "drivers/paravirtual"],
    "drivers/*/forward": ["base", "mem", "device", "net", f"hw/{VENDOR}", f"drivers/{VENDOR}/queue"],
    "drivers/*/common": ["base", "mem", "device", "net", f"hw/{VENDOR}", f"drivers/{VENDOR}/queue"],
    f"drivers/*/{FAMILY}": ["base", "mem", "device", "net", f"hw/{VENDOR}", f"hw/{VENDOR}/{FAMILY}",
                            f"drivers/{VENDOR}/queue", f"drivers/{VENDOR}/common"],
    # The driver and the model of a card include what its virtual functions have: their messages and registers.
    "drivers/*/*": ["base", "mem", "device", "net", f"hw/{VENDOR}", f"hw/{VENDOR}/{FAMILY}", f"hw/{VENDOR}/{CARD}",
                    f"hw/{VENDOR}/{CARD}vf", f"drivers/{VENDOR}/queue", f"drivers/{VENDOR}/forward", f"drivers/{VENDOR}/common",
                    f"drivers/{VENDOR}/{FAMILY}", "drivers/paravirtual"],
    "models/*/*": ["base", "mem", "device", f"hw/{VENDOR}", f"hw/{VENDOR}/{FAMILY}", f"hw/{VENDOR}/{CARD}", f"hw/{VENDOR}/{CARD}vf"],
    "backends/vfio": ["base", "mem", "device", "pci"],
    "backends/*": ["base", "files", "mem", "device"],
    "servers/*": ["base", "mem", "device"],
    "ports/*": ["base", "netlink", "files", "mem", "net", "ports/common"],
    "runtime": ["base", "mem", "net"],
    "observe": ["base", "mem", "device", "net", "runtime"],
    "c": ["base", "mem", "net", "backends/sim", "observe", "open", "pollux", "runtime"],
    "laboratory": ["base", "mem", "net"],
    "open": ["base", "mem", "device", "net", "pci", "hw/*", "hw/*/*", "drivers/*/*", "models/*/*", "backends/*", "ports/*", "laboratory"],
}
# The depth of the folders that are independent parts of a layer.
DEPTH = {"hw": 3, "drivers": 3, "models": 3, "backends": 2, "servers": 2, "ports": 2}
# Folders of the library with layers of several components: the Poller is the only part of runtime that the core has, decorators share
# the private headers of their device, and open has one file for each library that it knows the parts of.
SEVERAL_COMPONENTS = {"device", "open", "runtime"}
COMPONENT = re.compile(r"^pollux_layer\(.*\bCOMPONENT (\w+)", re.M)
UMBRELLA = pathlib.Path("include/pollux/pollux.hpp")
# Manuals, datasheets and pages may be cited.
CHIP = re.compile(r"(?<!docs/)\b8257\d\b(?! manual| datasheet)|QEMU's (?:card|igb|PHY)")


def layer_of(path: pathlib.Path) -> str:
    """"mem", "drivers/intel/igb", ...; "examples" and "tools" for programs that use the library."""
    if path.parts[0] not in ("include", "lib"):
        return path.parts[0]
    parts = path.parts[2:] if path.parts[0] == "include" else path.parts[1:]
    if len(parts) == 1:
        return pathlib.PurePath(parts[0]).stem  # open.hpp, pollux.hpp
    return "/".join(parts[:-1][:DEPTH.get(parts[0], 1)])


def fits(layer: str, pattern: str) -> bool:
    return pathlib.PurePath(layer).match(pattern) and layer.count("/") == pattern.count("/")


def allowed(layer: str) -> list[str] | None:
    """The patterns of layers that a layer may include; None for an unknown layer."""
    _, vendor, card, *_ = [*layer.split("/"), "", "", ""]
    for pattern, targets in ALLOWED.items():
        if fits(layer, pattern):
            return [target.format(vendor=vendor, card=card) for target in targets]
    return None


def may_include(layer: str, target: str) -> bool:
    return layer == target or any(fits(target, pattern) for pattern in allowed(layer) or [])


def complaint(source: pathlib.Path, target: pathlib.Path) -> str:
    """Why `source` may not include `target`; empty if it may."""
    is_public = target.parts[0] == "include"
    if source.parts[0] == "include" and not is_public:
        return "a public header includes a private file"
    if source.parts[0] == "examples":
        if is_public or target.parts[0] == "examples" or (source.parts[1] == "l2fwd" and target.parts[:2] == ("tools", "common")):
            return ""
        return "an example may include public headers only"
    if source.parts[0] not in ("include", "lib") or source == UMBRELLA:
        return ""
    if target == UMBRELLA:
        return "the header that includes all others is for applications"
    layer, target_layer = layer_of(source), layer_of(target)
    if allowed(layer) is None:
        return f"layer '{layer}' is not known; add it to {pathlib.Path(__file__).name} and to the architecture page"
    if target_layer in ("examples", "tools") or not may_include(layer, target_layer):
        return f"layer '{layer}' may not include layer '{target_layer}'"
    return ""


def names_of_chips(root: pathlib.Path, source: pathlib.Path) -> list[str]:
    """The lines of a public header that name a chip."""
    if source.parts[0] != "include":
        return []
    lines = (root / source).read_text().splitlines()
    return [f"{source}:{number}: a public header names a chip; say what a card has or lacks"
            for number, line in enumerate(lines, 1) if CHIP.search(line)]


def components(root: pathlib.Path) -> list[str]:
    """The folders that have layers of several components, unless they are known to."""
    found = []
    for file in sorted((root / "lib").rglob("CMakeLists.txt")):
        folder, names = file.parent.relative_to(root / "lib").as_posix(), sorted(set(COMPONENT.findall(file.read_text())))
        if len(names) > 1 and folder not in SEVERAL_COMPONENTS:
            found.append(f"lib/{folder} has layers of several components ({', '.join(names)}); a component has folders of its own")
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    sources = check_includes.sources(root)
    complaints = [] if sources else [f"{root} contains no source to check"]
    edges = {}
    for source in sources:
        complaints += names_of_chips(root, source)
        found = check_includes.includes(root, source)
        edges[source] = [target for _, _, target in found if target]
        for line, written, target in found:
            why = complaint(source, target) if target else "there is no such file"
            if why:
                complaints.append(f"{source}:{line}: #include \"{written}\": {why}")
    complaints += components(root)
    cycle = check_includes.find_cycle(edges)
    if cycle:
        complaints.append("a cycle of includes: " + " -> ".join(map(str, cycle)))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
