# SPDX-License-Identifier: BSD-3-Clause
"""Each public name has a comment in the pages of the interface, and each error code a row in docs/errors.md."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from pollux_lab import error_codes

ROOT = pathlib.Path(__file__).resolve().parents[3]


def doxygen(directory, **settings):
    """Runs docs/Doxyfile with the output in `directory`, as XML, and with other settings."""
    settings |= {"OUTPUT_DIRECTORY": directory, "GENERATE_HTML": "NO", "GENERATE_XML": "YES"}
    configuration = (ROOT / "docs/Doxyfile").read_text() + "".join(f"{name} = {value}\n" for name, value in settings.items())
    return subprocess.run(
        ["doxygen", "-"], input=configuration, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def is_described(element):
    return any("".join(text.itertext()).strip() for text in element.iterfind("*") if text.tag.endswith("description"))


@unittest.skipIf(shutil.which("doxygen") is None, "the package doxygen is not installed")
class ApiPages(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_each_public_name_has_a_comment(self):
        outcome = doxygen(self.directory)
        self.assertEqual(outcome.stderr, "")
        self.assertEqual(outcome.returncode, 0)
        # Doxygen leaves out what is in a namespace without a comment, and says nothing.
        pages = [ElementTree.parse(page).getroot()[0] for page in self.directory.glob("xml/namespace*.xml")]
        silent = [page.findtext("compoundname") for page in pages if not is_described(page)]
        self.assertEqual(silent, ["pollux::observe"], "each namespace but that of forward declarations has a comment")
        self.assertGreater(len(pages), 5)

    def test_a_name_without_a_comment_fails(self):
        header = self.directory / "some.hpp"
        header.write_text("/// A class.\nclass Some {\n public:\n  /// Has one.\n  void described();\n  void bare();\n};\n")
        outcome = doxygen(self.directory, INPUT=header, EXAMPLE_PATH="")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertRegex(outcome.stderr, r"^.*some.hpp:6: .*Member bare\(\).*is not documented\.\n$")


class ErrorPage(unittest.TestCase):
    def test_the_page_is_what_the_comments_say(self):
        header = error_codes.HEADER.read_text()
        again = "PYTHONPATH=tools/lib python3 -m pollux_lab.error_codes >docs/errors.md"
        self.assertEqual(error_codes.PAGE.read_text(), error_codes.render(header), f"make it again: {again}")

    def test_a_code_without_a_fix_fails(self):
        header = error_codes.HEADER.read_text()
        with self.assertRaisesRegex(ValueError, "ErrorCode::new_code"):
            error_codes.render(header.replace("  in_use_by_host,\n", "  in_use_by_host,\n  /// A cause.\n  new_code,\n"))

    def test_the_codes_are_those_of_the_library(self):
        named = re.findall(r"case ErrorCode::(\w+): return", (ROOT / "lib/base/error.cpp").read_text())
        self.assertEqual([code for code, _, _ in error_codes.error_codes(error_codes.HEADER.read_text())], named)


if __name__ == "__main__":
    unittest.main()
