# SPDX-License-Identifier: BSD-3-Clause
"""Checks that the shared library exports exactly what the public headers declare.

usage: exports_test.py SHARED STATIC INCLUDE
"""

import pathlib
import re
import subprocess
import sys
import unittest

SHARED, STATIC, INCLUDE = (sys.argv.pop(1) for _ in range(3))
TABLES = re.compile(r"^(?:vtable|VTT|typeinfo(?: name)?) for |^(?:non-virtual|virtual) thunk to |^guard variable for ")
RETURNED = re.compile(r"^\w+ (?=pollux::)")
NAMESPACE = re.compile(r"^namespace (pollux(?:::\w+)*) \{", re.M)
CLASS = re.compile(r"^(?:class|struct) (POLLUX_API )?(?:alignas\(\d+\) )?(\w+)(?: final)?(?: :[^{;]*)? \{", re.M)
FUNCTION = re.compile(r"^(?:\[\[nodiscard\]\] )?POLLUX_API [^;{]*?(\w+)\(", re.M)


ANY, STRONG = "A-Zuv", "TDBR"  # weak symbols are left out: every user of a header compiles them for itself


def symbols(kinds: str, *words: str) -> list[str]:
    """The demangled names of the symbols that a library defines."""
    lines = subprocess.run(["nm", "-C", "--defined-only", *words], check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(" ", 2)[2] for line in lines if re.match(rf"[0-9a-f]+ [{kinds}] ", line)]


def name_of(symbol: str) -> str:
    """The qualified name in a demangled symbol, such as `pollux::pci::Address::parse`. An operator's name may have brackets, and
    that of a template's instance begins with what it returns."""
    symbol = RETURNED.sub("", TABLES.sub("", symbol))
    return re.split(r"(?<!operator)[(\[]", symbol.replace("[abi:cxx11]", ""))[0]


class Headers:
    """The full names that the public headers declare at namespace scope."""

    def __init__(self, folder: pathlib.Path):
        self.names: set[str] = set()
        self.marked: set[str] = set()
        for header in folder.rglob("*.hpp"):
            text = header.read_text()
            spaces = [(found.start(), found[1]) for found in NAMESPACE.finditer(text)]
            for found in CLASS.finditer(text):
                self._add(spaces, found.start(), found[2], bool(found[1]))
            for found in FUNCTION.finditer(text):
                self._add(spaces, found.start(), found[1], True)

    def _add(self, spaces: list[tuple[int, str]], at: int, name: str, marked: bool) -> None:
        space = [where for start, where in spaces if start < at][-1]
        self.names.add(f"{space}::{name}")
        if marked:
            self.marked.add(f"{space}::{name}")

    @staticmethod
    def owner(names: set[str], symbol: str) -> str | None:
        """The name that the symbol has or of which it is a member."""
        parts = name_of(symbol).split("::")
        candidates = ("::".join(parts[:count]) for count in range(len(parts), 1, -1))
        return next((name for name in candidates if name in names), None)


class Exports(unittest.TestCase):
    maxDiff = None
    @classmethod
    def setUpClass(cls):
        cls.headers = Headers(pathlib.Path(INCLUDE) / "pollux")
        cls.exported = symbols(ANY, "-D", SHARED)
        cls.defined = symbols(STRONG, STATIC)

    def test_functions_and_classes_are_found(self):
        for name in ("pollux::open(", "pollux::Port::start(", "vtable for pollux::PortDriver"):
            self.assertTrue(any(symbol.startswith(name) for symbol in self.exported), name)
        self.assertIn("pollux::pci::Address", self.headers.marked)

    def test_nothing_is_exported_that_no_public_header_marks(self):
        unmarked = sorted(symbol for symbol in self.exported if not Headers.owner(self.headers.marked, symbol))
        self.assertEqual(unmarked, [], "hide it, or declare it in a public header with POLLUX_API")

    def test_what_public_headers_declare_is_exported(self):
        exported = set(self.exported)
        missing = sorted(symbol for symbol in set(self.defined) - exported if Headers.owner(self.headers.names, symbol))
        self.assertEqual(missing, [], "mark its class, or the function, POLLUX_API")


if __name__ == "__main__":
    unittest.main()
