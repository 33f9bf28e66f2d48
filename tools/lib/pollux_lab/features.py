# SPDX-License-Identifier: BSD-3-Clause
"""Makes docs/features.md from docs/features.toml and the tests that passed in a run of tools/test."""

import argparse
import dataclasses
import pathlib
import sys
import tomllib

from . import claims, concepts
from .claims import LEFT_OUT, SHOWN, Run
from .errors import LabError
from .junit import Result

TABLE, PAGE = pathlib.Path("docs/features.toml"), pathlib.Path("docs/features.md")
RESULTS = pathlib.Path("build/test-reports/results.json")
BACKENDS = ("sim", "qtest", "guest")
# Suites whose tests show something about qtest only.
QTEST_ONLY = ("qemu.", "differential.", "interop.offloads.Qemu.")
REMEDY = "run tools/features --write to update the page; correct a stale claim in docs/features.toml, or the test that it names"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that a feature works on a backend, fully or in part, with the tests that show it."""
    tests: list[str]
    lacks: str = ""  # what is missing; empty if nothing is


@dataclasses.dataclass(frozen=True)
class Feature:
    name: str
    dpdk: str
    linux: str
    claims: dict[str, Claim]
    instead: dict[str, str]  # the text for a backend without a claim
    left_out: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    facts: dict
    sections: list[tuple[str, list[Feature]]]

    def features(self) -> list[Feature]:
        return [feature for _, features in self.sections for feature in features]


def load(path: pathlib.Path) -> Table:
    """Raises LabError if the table has a mistake."""
    raw = tomllib.loads(path.read_text())
    mistakes = _uncovered(raw)
    sections = [(section["title"], [_feature(entry, raw, mistakes) for entry in section["feature"]]) for section in raw["section"]]
    if mistakes:
        raise LabError(f"{path} has mistakes", "correct them", "\n".join(mistakes))
    return Table(raw, sections)


def _uncovered(raw: dict) -> list[str]:
    """Names of the other drivers without a row, and rows with a name that those drivers do not have."""
    rows = [entry for section in raw["section"] for entry in section["feature"]]
    mistakes = []
    for other, known in (("dpdk", [*raw["dpdk"]["pf"], *raw["dpdk"]["vf"], *raw["dpdk"]["neither"]]), ("linux", raw["linux"]["names"])):
        named = [name for entry in rows for name in entry.get(other, [])]
        mistakes += [f"{other}: no row has '{name}'" for name in dict.fromkeys(known) if name not in named]
        mistakes += [f"{other}: there is no '{name}'" for name in dict.fromkeys(named) if name not in known]
    return mistakes


def _feature(entry: dict, raw: dict, mistakes: list[str]) -> Feature:
    made: dict[str, Claim] = {}
    for backend in BACKENDS:
        if backend in entry:
            made[backend] = Claim(entry[backend]["tests"], entry[backend].get("lacks", ""))
            mistakes += [f"{entry['name']}: {test} shows nothing about {backend}" for test in made[backend].tests if not _is_of(test, backend)]
    if "left_out" in entry and made:
        mistakes.append(f"{entry['name']} is both left out and claimed")
    unknown = set(entry) - {"name", "dpdk", "dpdk_note", "linux", "linux_note", "left_out", "instead", *BACKENDS}
    mistakes += [f"{entry['name']}: '{key}' is not a valid key" for key in sorted(unknown)]
    return Feature(entry["name"], _dpdk(entry, raw["dpdk"]), _linux(entry), made, entry.get("instead", {}), entry.get("left_out", ""))


def _is_of(test: str, backend: str) -> bool:
    guest = test.startswith("guest.")
    qtest = test.startswith(QTEST_ONLY) or (test.startswith("conformance.") and test.endswith("/qtest"))
    return {"guest": guest, "qtest": qtest, "sim": not guest and not qtest}[backend]


def _dpdk(entry: dict, dpdk: dict) -> str:
    parts = []
    for name in entry.get("dpdk", []):
        has = [title for title, known in (("igb", dpdk["pf"]), ("igb_vf", dpdk["vf"])) if name in known]
        parts.append(f"{name}: {', '.join(has) or 'no'}{' in part' if name in dpdk['partial'] else ''}")
    return "; ".join([*parts, *([entry["dpdk_note"]] if "dpdk_note" in entry else [])]) or "no"


def _linux(entry: dict) -> str:
    names = ", ".join(f"`{name}`" for name in entry.get("linux", []))
    return "; ".join(part for part in (names, entry.get("linux_note")) if part) or "no"


def claim_results(table: Table, run: Run) -> list[tuple[Feature, str, claims.ClaimResult]]:
    return [(feature, backend, run.check(claim.tests))
            for feature in table.features() for backend, claim in feature.claims.items()]


def render(table: Table, run: Run) -> str:
    """The page as this run shows it. A claim whose tests could not run here is kept; a stale one becomes "no"."""
    stands = {(feature.name, backend) for feature, backend, result in claim_results(table, run) if result.state in (SHOWN, LEFT_OUT)}
    dpdk, linux = table.facts["dpdk"], table.facts["linux"]
    parts = [table.facts["preface"].format(dpdk=dpdk["version"], linux=linux["version"]).strip()]
    for title, features in table.sections:
        kept = [feature for feature in features if not feature.left_out]
        parts += [f"## {title}", _table(kept, stands)]
        parts += [text for text in (_in_part(kept, stands),) if text]
    parts += ["## Left out", "| feature | DPDK igb | Linux igb | why |\n|---|---|---|---|\n" + "\n".join(
        f"| {feature.name} | {feature.dpdk} | {feature.linux} | {feature.left_out} |" for feature in table.features() if feature.left_out)]
    parts += ["## What shows it", table.facts["shown"].strip(), _tests(table, stands)]
    return "\n\n".join(parts) + "\n"


def _table(features: list[Feature], stands: set) -> str:
    lines = ["| feature | DPDK igb | Linux igb | sim | qtest | guest |", "|---|---|---|---|---|---|"]
    for feature in features:
        cells = [_cell(feature, backend, stands) for backend in BACKENDS]
        lines.append(f"| {' | '.join([feature.name, feature.dpdk, feature.linux, *cells])} |")
    return "\n".join(lines)


def _cell(feature: Feature, backend: str, stands: set) -> str:
    if (feature.name, backend) in stands:
        return "in part" if feature.claims[backend].lacks else "yes"
    if backend in feature.instead:
        return feature.instead[backend]
    # The feature works on another backend, but no test of a short run shows it on this one.
    return "not tried" if feature.claims and backend not in feature.claims else "no"


def _in_part(features: list[Feature], stands: set) -> str:
    lines = [f"- {feature.name}, {backend}: {claim.lacks}." for feature in features
             for backend, claim in feature.claims.items() if claim.lacks and (feature.name, backend) in stands]
    return "In part:\n\n" + "\n".join(lines) if lines else ""


def _tests(table: Table, stands: set) -> str:
    lines = []
    for feature in table.features():
        shown = [f"{backend}: {', '.join(f'`{test}`' for test in claim.tests)}"
                 for backend, claim in feature.claims.items() if (feature.name, backend) in stands]
        if shown:
            lines.append(f"- {feature.name}. {'. '.join(shown)}")
    return "\n".join(lines)


def check(root: pathlib.Path, run: Run) -> list[Result]:
    """Compares the documents' claims with a run. The results list stale claims and claims whose tests could not run here, and say
    whether the page is the one that the run makes."""
    try:
        table = load(root / TABLE)
    except LabError as error:
        return [_result(str(TABLE), [str(error)])]
    checked = [(f"{feature.name} on {backend}", result) for feature, backend, result in claim_results(table, run)]
    checked += concepts.check(root, run)
    results = [Result(f"claim: {what}", "failed" if result.state == claims.STALE else "skipped", detail=f"{result.reason}", suite="claims")
               for what, result in checked if result.state != SHOWN]
    page = root / PAGE
    same = page.exists() and page.read_text() == render(table, run)
    results.append(_result(str(PAGE), [] if same else [f"{PAGE} is not what the tests of this run show; {REMEDY}"]))
    results.append(_result(str(concepts.PAGE), concepts.mistakes(root)))
    results.append(_result("files that the documents name", claims.missing_paths(root)))
    results.append(_result("rows of interpretations and errata on which the code depends", claims.missing_tags(root)))
    return results


def _result(name: str, mistakes: list[str]) -> Result:
    return Result(name, "failed" if mistakes else "passed", detail="\n".join(mistakes), suite="claims")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/features", description=__doc__ + " Without an option it only shows the differences.")
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE} as the last run of tools/test shows it")
    options = parser.parse_args()
    try:
        run = claims.read_run(options.root / RESULTS)
        if options.write:
            (options.root / PAGE).write_text(render(load(options.root / TABLE), run))
        results = check(options.root, run)
    except LabError as error:
        print(f"tools/features: {error}", file=sys.stderr)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    for result in results:
        if result.state != "passed":
            print(f"{result.state}: {result.name}: {result.detail}")
    counts = [sum(result.state == state for result in results) for state in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
