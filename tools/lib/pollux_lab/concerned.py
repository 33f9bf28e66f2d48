# SPDX-License-Identifier: BSD-3-Clause
"""Which tests concern a file: for the mutation tests, and for tools/test --quick."""

# Of the settings of a port, and of their table, which telemetry has, too.
SETTINGS = ["net", "igb", "intel_queues", "ports", "settings", "observe"]
# The tests that concern the files of a folder, the quickest first. The longest matching path decides. include/pollux/X is as
# lib/X, and has pages, too; the tests of tests/unit/X are those of that folder. A name without a slash is a GoogleTest program; one with a slash is
# a folder, and stands for all tests that are registered there.
CONCERNED = {
    "lib/base": ["base", "mem"],
    "lib/files": ["files", "ports", "sim", "examples"],
    "lib/netlink": ["netlink", "host", "ports"],
    "lib/mem": ["mem", "ports", "igb"],
    "lib/device": ["trace", "sim", "faults"],
    "lib/net": ["net", "igb", "intel_queues", "ports"],
    "lib/net/flow": ["flow", "igb"],
    "lib/net/json": SETTINGS,
    "lib/net/packet": ["packet", "flow", "igb"],
    "lib/net/settings_check.cpp": SETTINGS,
    "lib/hw": ["hw", "igb", "models"],
    "lib/hw/virtio": ["virtio_model", "virtio_queues"],
    "lib/hw/vmware": ["vmxnet3"],
    "lib/drivers": ["igb", "intel_queues", "sim"],
    "lib/drivers/intel/igb": ["igb", "intel_queues", "sim", "settings"],
    "lib/drivers/intel/gigabit": ["igb", "e1000e", "sim", "settings"],
    "lib/drivers/intel/e1000e": ["e1000e"],
    "lib/drivers/intel/igbvf": ["igbvf"],
    "lib/drivers/paravirtual": ["vmxnet3", "virtio_queues"],
    "lib/drivers/virtio": ["virtio_queues"],
    "lib/drivers/vmware": ["vmxnet3", "open"],
    "lib/models": ["models", "sim", "igb"],
    "lib/models/virtio": ["virtio_model", "virtio_queues"],
    "lib/backends/sim": ["sim", "igb"],
    "lib/backends/vfio": ["vfio"],
    "lib/backends/qtest": ["qtest"],
    "lib/servers": ["vfio_user"],
    "lib/pci": ["pci", "host", "command"],
    "lib/host": ["host", "command"],
    "lib/runtime": ["runtime"],
    "lib/runtime/queueing": ["runtime_queueing", "runtime"],
    "lib/runtime/packet_steering.cpp": ["steering"],
    "lib/observe": ["observe"],
    "lib/observe/capture": ["capture", "observe"],
    "lib/open": ["open", "sim"],
    "lib/c": ["c"],
    "include/pollux/net/settings.hpp": [*SETTINGS, "tests/unit/commands", "tests/unit/api"],
    "include/pollux/pollux.h": ["c"],
    "lib/python": ["tests/unit/python"],
    "lib/ports": ["ports", "conformance"],
    "examples": ["tests/unit/examples"],
    "examples/c": ["tests/unit/c"],
    "examples/python": ["tests/unit/python"],
    "examples/hello": ["tests/unit/guide"],
    "tools": ["tests/unit/tools"],
    "tools/common": ["tests/unit/examples"],
    "tools/pktgen": ["tests/unit/examples"],
    "tools/lib/check_layers.py": ["tests/unit/check"],
    "tools/lib/pollux_lab/error_codes.py": ["tests/unit/api"],
    "tools/pollux": ["tests/unit/commands", "tests/unit/observe"],
    "tools/pollux/bench": ["tests/unit/rfc2544"],
    "tools/pollux/confirm": ["tests/unit/confirm"],
    "tools/pollux/confine": ["tests/unit/confine", "tests/unit/commands", "tests/unit/observe"],
    "tools/pollux/doctor": ["tests/unit/doctor"],
    "tools/pollux/ethtool": ["tests/unit/ethtool"],
    "tools/pollux/top": ["tests/unit/top"],
    "tools/silicon_probe": ["tests/unit/silicon", "tests/unit/examples"],
    "tests/conformance": ["conformance"],
    "tests/explorer": ["explorer", "explorer_stepped"],
    "tests/golden": ["trace"],
    "tests/must_not_compile": ["tests/must_not_compile"],
    "tests/mutation": ["tests/unit/tools"],
    "tests/settings": ["settings"],
    "tests/support": ["igb", "sim", "packet", "vfio_user"],
    "docs": ["tests/unit/tools", "tests/unit/guide", "tests/unit/api"],
    "docs/82576": ["hw", "faults", "silicon"],
    "docs/guide": ["tests/unit/guide"],
    "docs/settings.md": ["tests/unit/commands"],
    "docs/guide/python.md": ["tests/unit/python", "tests/unit/guide"],
    "pyproject.toml": ["tests/unit/python"],
    "README.md": ["tests/unit/guide"],
}
# The programs for mutants in all other files.
EVERY = ["base", "netlink", "mem", "net", "hw", "models", "igb", "intel_queues", "trace", "faults", "sim", "open", "ports", "pci", "host", "vfio"]
PUBLIC, LIBRARY, UNIT, PAGES = "include/pollux/", "lib/", "tests/unit/", "tests/unit/api"


def tests(path: str) -> list[str]:
    """The tests for a file; none if the table has no row for it."""
    if path in CONCERNED:
        return CONCERNED[path]
    if path.startswith(PUBLIC):
        of_library = tests(LIBRARY + path.removeprefix(PUBLIC).removesuffix(".hpp"))  # open.hpp belongs to lib/open
        return [*of_library, PAGES] if of_library else []
    if path.startswith(UNIT) and path.count("/") > 2:
        return ["/".join(path.split("/")[:3])]
    for folder in sorted(CONCERNED, key=len, reverse=True):
        if f"{path}/".startswith(f"{folder}/"):
            return CONCERNED[folder]
    return []


def programs(path: str) -> list[str]:
    """The GoogleTest programs for a file."""
    return [name for name in tests(path) if "/" not in name] or EVERY
