# SPDX-License-Identifier: BSD-3-Clause
"""Prints docs/errors.md, which is made from the comments of ErrorCode: python3 -m pollux_lab.error_codes >docs/errors.md"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEADER = ROOT / "include/pollux/base/error.hpp"
PAGE = ROOT / "docs/errors.md"

HEAD = """\
# Error codes

Made from the comments of `ErrorCode` by `tools/lib/pollux_lab/error_codes.py`. A function that can fail returns a `Result`, whose `Error` has
one of these codes, a text (`what`) and a hint. The hint names the device and the command, and is more exact than this table. `pollux doctor`
looks for those causes that lie in the machine.

| code | cause | what fixes it |
|---|---|---|
"""


def error_codes(header):
    """Returns (code, cause, fix) for each enumerator of ErrorCode; raises ValueError for one whose comment has not both."""
    body = re.search(r"^enum class ErrorCode \{\n(.*?)^\};", header, re.DOTALL | re.MULTILINE)[1]
    rows = []
    comment = ""
    for line in body.splitlines():
        if line.startswith("  /// "):
            comment += line[5:]
            continue
        code = line.strip().rstrip(",")
        parts = re.fullmatch(r" (\S.*)\. Fix: (\S.*)\.", comment)
        if parts is None:
            raise ValueError(f"ErrorCode::{code}: its comment is not 'CAUSE. Fix: WHAT FIXES IT.'")
        rows.append((code, *parts.groups()))
        comment = ""
    return rows


def render(header):
    return HEAD + "".join(f"| `{code}` | {cause} | {fix} |\n" for code, cause, fix in error_codes(header))


if __name__ == "__main__":
    print(render(HEADER.read_text()), end="")
