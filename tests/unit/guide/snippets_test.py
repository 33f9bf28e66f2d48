# SPDX-License-Identifier: BSD-3-Clause
"""The C++ snippets in the README and docs/guide compile, and each call in the table for DPDK users exists.

usage: snippets_test.py COMPILER
"""

import re
import subprocess
import sys
import unittest

import documents

COMPILER = sys.argv.pop(1)
INCLUDE = re.compile(r"^#include [<\"].*$", re.M)
PROGRAM = re.compile(r"^int main\(", re.M)

# Code in front of all snippets.
PRELUDE = """
#include <pollux/pollux.hpp>
#include <pollux/pci/device_info.hpp>
#include <cstring>
static bool running;
static void swap_macs(std::uint8_t* data);
"""
# Names that snippets use. They are parameters, so that a snippet may declare its own instead.
GIVEN = """[[maybe_unused]] static int snippet_{number}(
    pollux::Context& context, pollux::Port& port, pollux::Result<pollux::Port>& in, pollux::Result<pollux::Port>& out,
    pollux::Mempool& pool, pollux::MempoolCache& cache, pollux::Burst<32>& burst, pollux::Mbuf& mbuf, pollux::MbufPtr frame,
    pollux::MbufPtr more, pollux::DropCounter& reason, std::span<std::uint8_t> bytes, pollux::DmaMemory& memory,
    pollux::Result<void> result) {{
{body}
return 0; }}
"""


def in_function(number: int, line_directive: str, text: str) -> str:
    return GIVEN.format(number=number, body="{\n" + line_directive + "\n" + text + "\n}")


def unit() -> str:
    """The source of all snippets: first what they include, then each one. A snippet can use the declarations of those above it."""
    parts, number = [PRELUDE], 0
    for document in documents.documents():
        for block in documents.blocks(document):
            text = INCLUDE.sub("", block.text)
            parts[0] += "".join(f"{line}\n" for line in INCLUDE.findall(block.text))
            number += 1
            if PROGRAM.search(text):
                parts.append(f"namespace program_{number} {{\n{block.line_directive}\n{text}\n}}")
            elif block.at_namespace:
                parts.append(f"{block.line_directive}\n{text}")
            else:
                parts.append(in_function(number, block.line_directive, text))
    for row in documents.dpdk_rows():
        for code in row.ours:
            number += 1
            parts.append(in_function(number, f'#line {row.line} "docs/guide/coming-from-dpdk.md"', f"using namespace pollux; {code};"))
    return "\n".join(parts)


class Snippets(unittest.TestCase):
    def test_they_compile(self):
        command = [COMPILER, "-std=c++20", "-fsyntax-only", "-w", f"-I{documents.ROOT}/include", "-x", "c++", "-"]
        ran = subprocess.run(command, input=unit(), capture_output=True, text=True, timeout=120)
        errors = "\n".join(line for line in ran.stderr.splitlines() if "error:" in line)
        self.assertEqual(ran.returncode, 0, errors)

    def test_every_document_of_the_guide_shows_some(self):
        for document in documents.documents():
            if document != documents.DPDK:
                self.assertTrue(documents.blocks(document), document)


class Table(unittest.TestCase):
    def test_it_has_sixty_calls_each_once(self):
        calls = [name for row in documents.dpdk_rows() for name in row.theirs]
        self.assertGreaterEqual(len(calls), 60)
        self.assertEqual(sorted(calls), sorted(set(calls)))

    def test_every_call_has_code_of_ours(self):
        for row in documents.dpdk_rows():
            self.assertTrue(row.ours, f"line {row.line}")


if __name__ == "__main__":
    unittest.main()
