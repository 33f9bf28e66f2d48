# SPDX-License-Identifier: BSD-3-Clause
"""Parses the output of tools/check, tools/abi and tools/packages into one result per check."""

import re

from .junit import NO_REASON, Result

# The seconds are negative if the clock was set back meanwhile.
_VERDICT = re.compile(r"^(?P<name>[a-z_]+) +(?:passed \((?P<passed>-?\d+) s\)|FAILED \((?P<failed>-?\d+) s\)|skipped: ?(?P<reason>.*))$")
_SUM = re.compile(r"^\d+ passed, \d+ failed, \d+ skipped$")
SUITE = "check"


def read(text: str) -> list[Result]:
    results = []
    findings: list[str] = []
    for line in reversed([line for line in text.splitlines() if not _SUM.match(line)]):
        found = _VERDICT.match(line)
        if not found:
            findings.insert(0, line.strip())
            continue
        name = f"check.{found['name']}"
        if found["passed"] is not None:
            results.append(Result(name, "passed", float(found["passed"]), suite=SUITE))
        elif found["failed"] is not None:
            results.append(Result(name, "failed", float(found["failed"]), "\n".join(findings), SUITE))
        else:
            results.append(Result(name, "skipped", 0, found["reason"] or NO_REASON, SUITE))
        findings = []
    return results[::-1]
