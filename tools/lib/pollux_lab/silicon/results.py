# SPDX-License-Identifier: BSD-3-Clause
"""The results of a run: what passed, failed and was skipped, and the data beside it."""

import dataclasses
import json
import re
import statistics


@dataclasses.dataclass
class Result:
    suite: str
    name: str
    state: str  # passed, failed, skipped
    reason: str = ""


@dataclasses.dataclass
class Results:
    cases: list[Result] = dataclasses.field(default_factory=list)
    answers: list[dict] = dataclasses.field(default_factory=list)   # as silicon_probe prints them
    unasked: list[dict] = dataclasses.field(default_factory=list)
    rates: list[dict] = dataclasses.field(default_factory=list)
    steps: list[dict] = dataclasses.field(default_factory=list)     # name, seconds

    def add(self, suite: str, name: str, state: str, reason: str = "") -> None:
        self.cases.append(Result(suite, name, state, reason))

    def count(self, state: str) -> int:
        return sum(case.state == state for case in self.cases)

    def last_line(self) -> str:
        return f"{self.count('passed')} passed, {self.count('failed')} failed, {self.count('skipped')} skipped"

    def differences(self) -> list[dict]:
        return [fact for answer in self.answers for fact in answer["facts"] if not fact["agrees"]]

    def as_json(self) -> dict:
        counts = {state: self.count(state) for state in ("passed", "failed", "skipped")}
        return {"counts": counts, **dataclasses.asdict(self)}

    def as_text(self) -> str:
        lines = [f"{case.state:<8} {case.suite}: {case.name}" + (f": {case.reason}" if case.reason else "")
                 for case in self.cases if case.state != "passed"]
        lines += [f"rate     {rate_text(rate)}" for rate in self.rates]
        facts = [fact for answer in self.answers for fact in answer["facts"]]
        judged = [fact for fact in facts if fact["expected"] is not None]
        lines.append(f"answers  {len(facts)}; {sum(fact['agrees'] for fact in judged)} of {len(judged)} as expected")
        lines += [f"differs  {fact['tag']}: {fact['what']}: {fact['said']}, expected {fact['expected']}" for fact in self.differences()]
        lines += [f"step     {step['name']:<14} {step['seconds']:7.1f} s" for step in self.steps]
        return "\n".join(lines)


def rate_text(rate: dict) -> str:
    return (f"{rate['name']}, {rate['bytes']} bytes: median {rate['median']:.3f} Mpps ({rate['least']:.3f} to {rate['most']:.3f}, "
            f"{len(rate['mpps'])} runs), {rate['lost']} lost")


def rate_of(name: str, size: int, runs: list[tuple[float, int]]) -> dict:
    """Sums up runs of one kind: each has a rate in Mpps and a number of lost frames."""
    mpps = [rate for rate, _ in runs]
    return {"name": name, "bytes": size, "mpps": mpps, "median": statistics.median(mpps), "least": min(mpps), "most": max(mpps),
            "lost": sum(lost for _, lost in runs)}


def json_lines(text: str) -> list[dict]:
    """The JSON objects of a program's output, one a line; other lines, such as a partial last one, are left out."""
    objects = []
    for line in text.splitlines():
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            objects.append(parsed)
    return objects


_END_OF_CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+?)(?:,.*)? \(\d+ ms\)$", re.MULTILINE)
_STATES = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def gtest_cases(listed: str, printed: str, ended: str) -> list[Result]:
    """The result of each case of a GoogleTest program, by its list of cases and its output. A case without an end failed."""
    names, group = [], ""
    for line in listed.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith("  ") and word:
            names.append(group + word)
        elif word.endswith("."):
            group = word
    found = {name: _STATES[state] for state, name in _END_OF_CASE.findall(printed)}
    return [Result("conformance", name, found.get(name, "failed"), _reason(name, found, printed, ended)) for name in names]


def _reason(name: str, found: dict, printed: str, ended: str) -> str:
    begun = f"[ RUN      ] {name}\n"
    if name not in found:
        return f"{'it did not end' if begun in printed else 'it did not run'}: {ended}"
    if found[name] == "passed":
        return ""
    between = printed.partition(begun)[2].split("\n[ ", 1)[0]
    return " ".join(between.split())[:1000]
