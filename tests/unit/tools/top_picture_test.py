# SPDX-License-Identifier: BSD-3-Clause
"""tools/lib/top-picture makes a picture of what a terminal shows."""

import unittest
import xml.etree.ElementTree

from pollux_lab import top_picture

TEXT = "{http://www.w3.org/2000/svg}text"
RECT = "{http://www.w3.org/2000/svg}rect"
SCREEN = "\x1b[1mpollux top\x1b(B\x1b[m  <q>\n\x1b[4mPORT\x1b[0m\n\x1b[7mplx1  \x1b[0m\n\n\n"


class Picture(unittest.TestCase):
    def setUp(self):
        self.root = xml.etree.ElementTree.fromstring(top_picture.svg(SCREEN))
        self.texts = {element.text: element.attrib for element in self.root.iter(TEXT)}

    def test_has_each_text_where_it_stands(self):
        self.assertEqual(list(self.texts), ["pollux top", "  <q>", "PORT", "plx1  "])
        self.assertEqual(float(self.texts["  <q>"]["x"]), top_picture.MARGIN + 10 * top_picture.WIDTH)
        self.assertEqual(int(self.texts["plx1  "]["y"]) - int(self.texts["pollux top"]["y"]), 2 * top_picture.HEIGHT)
        self.assertEqual(int(self.root.attrib["height"]), 3 * top_picture.HEIGHT + 2 * top_picture.MARGIN, "no empty lines at the end")

    def test_shows_attributes(self):
        self.assertEqual(self.texts["pollux top"]["font-weight"], "bold")
        self.assertEqual(self.texts["PORT"]["text-decoration"], "underline")
        self.assertEqual(self.texts["plx1  "]["fill"], top_picture.PAPER)
        self.assertNotIn("font-weight", self.texts["  <q>"])
        bars = [element for element in self.root.iter(RECT) if element.attrib["width"] != "100%"]
        self.assertEqual([bar.attrib["width"] for bar in bars], [f"{6 * top_picture.WIDTH:.1f}"])

    def test_attributes_last_until_they_are_reset(self):
        attributes = set()
        self.assertEqual(top_picture.parts_of("\x1b[7ma", attributes), [("a", frozenset("7"))])
        self.assertEqual(top_picture.parts_of("b\x1b[mc", attributes), [("b", frozenset("7")), ("c", frozenset())])


if __name__ == "__main__":
    unittest.main()
