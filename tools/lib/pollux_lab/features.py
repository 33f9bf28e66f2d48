# SPDX-License-Identifier: BSD-3-Clause
"""Makes docs/features.md and docs/evidence.md from docs/features.toml and the tests that passed in a run of tools/test --ci. A plain run
does not judge all claims, so it is refused."""

import argparse
import dataclasses
import fnmatch
import pathlib
import sys
import tomllib

from . import claims, concepts
from .claims import LEFT_OUT, SHOWN, Run
from .commands import Parser
from .errors import LabError
from .junit import Result

TABLE, PAGE = pathlib.Path("docs/features.toml"), pathlib.Path("docs/features.md")
EVIDENCE = pathlib.Path("docs/evidence.md")
THREATS = pathlib.Path("docs/security.md")
RESULTS = pathlib.Path("build/test-reports/results.json")
# The columns of cards: the names of their places in the page, by the keys in the table. A card with one place needs no name for it.
CARDS = {
    "82576": {"sim": "sim", "qtest": "qtest", "guest": "guest"},
    "82574": {"e1000e_qtest": "qtest", "e1000e_guest": "guest"},
    "I350": {"i350_sim": ""},
    "I210, I211": {"i210_sim": ""},
    "vmxnet3": {"vmxnet3_qtest": "qtest", "vmxnet3_guest": "guest"},
    "virtio-net": {"virtio_sim": "sim", "virtio_qtest": "qtest", "virtio_guest": "guest"},
    "xdp:": {"xdp": ""},
}
TITLES = {card: f"`{card}`" if ":" in card else card for card in CARDS}
PLACES = {place: f"{card} {name}" if len(places) > 1 else TITLES[card] for card, places in CARDS.items()
          for place, name in places.items()}
# The pairs of the conformance suite that show something about a place.
PAIRS = {"sim": None, "qtest": ["qtest"], "e1000e_qtest": ["e1000e"], "i350_sim": ["i350"], "i210_sim": ["i210"],
         "vmxnet3_qtest": ["vmxnet3"], "virtio_sim": ["sim_virtio", "sim_virtio_packed"],
         "virtio_qtest": ["virtio", "virtio_packed"], "xdp": ["xdp"]}
# A row's `conformance` is about these places, unless its `conformance_on` names others.
BY_DEFAULT = ["e1000e_qtest", "i350_sim", "i210_sim", "vmxnet3_qtest", "virtio_sim", "virtio_qtest", "xdp"]
# How the names of tests start that show something about one place only; the first that fits decides.
ONLY = {"guest.e1000e_": "e1000e_guest", "guest.tools_know_an_82574": "e1000e_guest", "qemu.E1000e": "e1000e_qtest",
        "guest.vmxnet3_": "vmxnet3_guest", "guest.tools_know_a_vmxnet3_device": "vmxnet3_guest", "qemu.Vmxnet3": "vmxnet3_qtest",
        "igb.Igb/LaterCard.*/I350": "i350_sim", "igb.I350.": "i350_sim", "igbvf.Cards/*/i350": "i350_sim", "interop.*.i350": "i350_sim",
        "igb.Igb/LaterCard.*/I21": "i210_sim", "igb.Igb/LaterCard.*/Flashless": "i210_sim", "igb.I210.": "i210_sim", "interop.*.i21": "i210_sim",
        "guest.virtio_": "virtio_guest", "guest.tools_know_a_virtio_device": "virtio_guest", "guest.": "guest",
        "qemu.Virtio": "virtio_qtest", "differential.Virtio": "virtio_qtest", "virtio_queues.": "virtio_sim", "virtio_model.": "virtio_sim",
        "ethtool.programs.Ethtool.test_a_card_without_nvm_and_phy": "virtio_sim", "ports.Xdp": "xdp", "doctor.KernelInterface.": "xdp", "interop.xdp.": "xdp",
        "interop.handover.": "xdp", "interop.keeper.": "xdp",
        "qemu.": "qtest", "differential.": "qtest", "interop.offloads.Qemu.": "qtest"}
REMEDY = "run tools/features --write to update the page; correct a stale claim in docs/features.toml, or the test that it names"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that a feature works at a place, fully or in part, with the tests that show it."""
    tests: list[str]
    lacks: str = ""  # what is missing; empty if nothing is


@dataclasses.dataclass(frozen=True)
class Feature:
    name: str
    dpdk: str
    linux: str
    claims: dict[str, Claim]
    instead: dict[str, str]  # the text for a place without a claim
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
    cases, on = entry.get("conformance", []), entry.get("conformance_on", BY_DEFAULT)
    for place in PLACES:
        own = entry.get(place, {})
        tests = [*own.get("tests", []), *(f"conformance.Ports/{case}/{pair}" for pair in PAIRS.get(place) or [] if place in on for case in cases)]
        if tests or own:
            made[place] = Claim(tests, own.get("lacks", ""))
            mistakes += [f"{entry['name']}: {test} shows nothing about {PLACES[place]}" for test in tests if not _is_of(test, place)]
    instead = {place: text for key, text in entry.get("instead", {}).items() for place in _places(key, mistakes)}
    mistakes += [f"{entry['name']} has tests on {PLACES[place]} and a text instead of them" for place in made if place in instead]
    if "left_out" in entry and made:
        mistakes.append(f"{entry['name']} is both left out and claimed")
    unknown = set(entry) - {"name", "dpdk", "dpdk_note", "linux", "linux_note", "left_out", "instead", "conformance", "conformance_on", *PLACES}
    mistakes += [f"{entry['name']}: '{key}' is not a valid key" for key in sorted(unknown)]
    return Feature(entry["name"], _dpdk(entry, raw["dpdk"]), _linux(entry), made, instead, entry.get("left_out", ""))


def _places(key: str, mistakes: list[str]) -> list[str]:
    """A place, or all places of a card."""
    found = [key] if key in PLACES else list(CARDS.get(key, {}))
    if not found:
        mistakes.append(f"there is no place '{key}'")
    return found


def _is_of(test: str, place: str) -> bool:
    if test.startswith("conformance."):
        pair = test.rpartition("/")[2]
        return next((other for other, pairs in PAIRS.items() if pairs and pair in pairs), "sim") == place
    return next((other for start, other in ONLY.items() if fnmatch.fnmatchcase(test, f"{start}*")), "sim") == place


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
    return [(feature, place, run.check(claim.tests))
            for feature in table.features() for place, claim in feature.claims.items()]


def standing(table: Table, run: Run) -> set[tuple[str, str]]:
    """The features and places whose claims hold in this run. A claim whose tests could not run here is kept."""
    return {(feature.name, place) for feature, place, result in claim_results(table, run) if result.state in (SHOWN, LEFT_OUT)}


def render(table: Table, run: Run) -> str:
    """The page as this run shows it. A stale claim becomes "no"."""
    stands = standing(table, run)
    dpdk, linux = table.facts["dpdk"], table.facts["linux"]
    parts = [table.facts["preface"].format(dpdk=dpdk["version"], linux=linux["version"]).strip()]
    for title, features in table.sections:
        kept = [feature for feature in features if not feature.left_out]
        parts += [f"## {title}", _table(kept, stands)]
        parts += [text for text in (_in_part(kept, stands),) if text]
    parts += ["## Left out", "| feature | DPDK igb | Linux igb | why |\n|---|---|---|---|\n" + "\n".join(
        f"| {feature.name} | {feature.dpdk} | {feature.linux} | {feature.left_out} |" for feature in table.features() if feature.left_out)]
    return "\n\n".join(parts) + "\n"


def render_evidence(table: Table, run: Run, rows: list[concepts.Row]) -> str:
    """The page with the tests that show what docs/features.md and docs/concepts.md say."""
    stands = standing(table, run)
    parts = [table.facts["evidence"].strip()]
    for title, features in table.sections:
        lines = [line for line in (_evidence(feature, stands) for feature in features) if line]
        parts += [f"## {title}", "\n".join(lines)] if lines else []
    shown = concepts.tests(table.facts)
    parts += ["## Concepts", "\n".join(f"- {row.number}, {row.concept}. {_quoted(shown[row.number])}" for row in rows if row.number in shown)]
    return "\n\n".join(parts) + "\n"


def _table(features: list[Feature], stands: set) -> str:
    lines = [f"| feature | DPDK igb | Linux igb | {' | '.join(TITLES.values())} |", f"|{'---|' * (3 + len(CARDS))}"]
    for feature in features:
        cells = [_card(feature, places, stands) for places in CARDS.values()]
        lines.append(f"| {' | '.join([feature.name, feature.dpdk, feature.linux, *cells])} |")
    return "\n".join(lines)


def _card(feature: Feature, places: dict[str, str], stands: set) -> str:
    """What holds at all places of a card is said once."""
    named: dict[str, list[str]] = {}
    for place, name in places.items():
        named.setdefault(_cell(feature, place, stands), []).append(name)
    return next(iter(named)) if len(named) == 1 else "; ".join(f"{', '.join(names)}: {text}" for text, names in named.items())


def _cell(feature: Feature, place: str, stands: set) -> str:
    if (feature.name, place) in stands:
        return "in part" if feature.claims[place].lacks else "yes"
    if place in feature.instead:
        return feature.instead[place]
    # The feature works elsewhere, but no test of a short run shows it here.
    return "not tried" if feature.claims and place not in feature.claims else "no"


def _in_part(features: list[Feature], stands: set) -> str:
    lines = []
    for feature in features:
        where: dict[str, list[str]] = {}
        for place, claim in feature.claims.items():
            if claim.lacks and (feature.name, place) in stands:
                where.setdefault(claim.lacks, []).append(PLACES[place])
        lines += [f"- {feature.name}, {', '.join(names)}: {lacks}." for lacks, names in where.items()]
    return "In part:\n\n" + "\n".join(lines) if lines else ""


def _evidence(feature: Feature, stands: set) -> str:
    shown = [f"{PLACES[place]}: {_quoted(claim.tests)}" for place, claim in feature.claims.items() if (feature.name, place) in stands]
    return f"- {feature.name}. {'. '.join(shown)}" if shown else ""


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def check(root: pathlib.Path, run: Run) -> list[Result]:
    """Compares the documents' claims with a run. The results list stale claims and claims whose tests could not run here, and say
    whether the page is the one that the run makes. A run that does not judge all claims counts the others, and judges no page."""
    try:
        table = load(root / TABLE)
    except LabError as error:
        return [_result(str(TABLE), [str(error)])]
    checked = [(f"{feature.name} on {PLACES[place]}", result) for feature, place, result in claim_results(table, run)]
    rows = concepts.rows((root / concepts.PAGE).read_text())
    checked += concepts.check(rows, concepts.tests(table.facts), run)
    checked += [(f"{THREATS}, {promise}", run.check(tests)) for promise, tests in claims.promises((root / THREATS).read_text())]
    results = [Result(f"claim: {what}", "failed" if result.state == claims.STALE else "skipped", detail=f"{result.reason}", suite="claims")
               for what, result in checked if result.state == claims.STALE or (run.judges_all and result.state == LEFT_OUT)]
    if not run.judges_all:
        shown = sum(result.state == SHOWN for _, result in checked)
        results.append(Result("claims that were not judged", "skipped", suite="claims",
                              detail=f"{shown} of {len(checked)} claims are shown by this run, the other {len(checked) - shown} "
                                     "were not judged (--ci judges them)"))
    for page, text in ((PAGE, render(table, run)), (EVIDENCE, render_evidence(table, run, rows))) if run.judges_all else ():
        same = (root / page).exists() and (root / page).read_text() == text
        results.append(_result(str(page), [] if same else [f"{page} is not what the tests of this run show; {REMEDY}"]))
    results.append(_result(str(concepts.PAGE), concepts.mistakes(rows, concepts.tests(table.facts))))
    results.append(_result("files that the documents name", claims.missing_paths(root)))
    results.append(_result("links of the documents", claims.broken_links(root)))
    results.append(_result("rows of interpretations and errata on which the code depends", claims.missing_tags(root)))
    return results


def write(root: pathlib.Path, run: Run) -> None:
    table = load(root / TABLE)
    (root / PAGE).write_text(render(table, run))
    (root / EVIDENCE).write_text(render_evidence(table, run, concepts.rows((root / concepts.PAGE).read_text())))


def _result(name: str, mistakes: list[str]) -> Result:
    return Result(name, "failed" if mistakes else "passed", detail="\n".join(mistakes), suite="claims")


def main() -> int:
    parser = Parser(prog="tools/features", description=__doc__ + " Without an option it only shows the differences.")
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE} and {EVIDENCE} as the last run of tools/test --ci shows them")
    options = parser.parse_args()
    try:
        run = claims.read_run(options.root / RESULTS)
        if options.write:
            write(options.root, run)
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
