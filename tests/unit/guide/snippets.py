# SPDX-License-Identifier: BSD-3-Clause
"""Makes sources of the C++ code in the project's documents.

usage: snippets.py FILE    writes tests that run the blocks below a line '<!-- runs -->'
"""

import pathlib
import re
import sys

import documents

INCLUDE = re.compile(r"^#include [<\"].*$", re.M)
PROGRAM = re.compile(r"^int main\(", re.M)

# Code in front of all snippets.
HEADERS = """
#include <pollux/pollux.hpp>
#include <cstdio>
#include <cstring>
"""
# What snippets use and the program defines: for those that are only compiled, and for those that run.
DECLARED = """
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
TEST = """
TEST_F(Guide, {name}) {{
  EXPECT_EQ(snippet_{number}(context_, *in_, in_, out_, pool_, cache_, burst_, *mbuf_, std::move(frame_), std::move(more_), reason_, bytes_, *memory_, {{}}), 0);
}}
"""


def in_function(number: int, line_directive: str, text: str) -> str:
    return GIVEN.format(number=number, body="{\n" + line_directive + "\n" + text + "\n}")


def unit() -> str:
    """The source of all snippets: first what they include, then each one. A snippet can use the declarations of those above it."""
    parts, number = [HEADERS, DECLARED], 0
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


def tests() -> str:
    """The source of tests that run snippets on two in-process cards, and of what these declare at namespace scope."""
    parts, number = [HEADERS, '#include "unit/guide/fixture.hpp"\n'], 0
    for document in documents.documents():
        blocks = [block for block in documents.blocks(document) if block.runs or block.at_namespace]
        for block in blocks:
            text = INCLUDE.sub("", block.text)
            parts[0] += "".join(f"{line}\n" for line in INCLUDE.findall(block.text))
            if block.at_namespace:
                parts.append(f"{block.line_directive}\n{text}")
                continue
            number += 1
            name = "".join(word.capitalize() for word in document.stem.lower().split("-"))
            parts.append(in_function(number, block.line_directive, text))
            parts.append(TEST.format(name=f"{name}Line{block.line}", number=number))
    return "\n".join(parts)


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(tests())
