# SPDX-License-Identifier: BSD-3-Clause
"""docs/features.md and docs/concepts.md: a claim needs a test that passed."""

import contextlib
import fnmatch
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest

from unittest import mock

from pollux_lab import claims, concepts, features, runner_steps
from pollux_lab.claims import LEFT_OUT, SHOWN, STALE, Run
from pollux_lab.commands import Commands
from pollux_lab.errors import LabError
from pollux_lab.junit import Result
from pollux_lab.steps import Options, StepRun
from pollux_lab.summary import Summary

ROOT = pathlib.Path(__file__).resolve().parents[3]

TABLE = """
preface = "# Features\\n\\n{dpdk} and {linux}"
evidence = "# Names of tests"
[dpdk]
version = "v"
pf = ["Link status", "DCB"]
vf = ["Link status"]
partial = []
neither = []
[linux]
version = "w"
names = ["get_link"]
[[section]]
title = "Link"
[[section.feature]]
name = "link"
dpdk = ["Link status"]
linux = ["get_link"]
sim.tests = ["igb.Link.*"]
qtest.tests = ["qemu.Link.IsUp"]
qtest.lacks = "only one speed"
guest.tests = ["guest.link"]
guest.lacks = "only one speed"
conformance = ["Control.Link"]
xdp.lacks = "no speed"
i350_sim.lacks = "no speed"
i350_sim.tests = ["igb.Igb/LaterCard.Link/I350"]
instead = { virtio_guest = "no kernel" }
[[section.feature]]
name = "PHY"
sim.tests = ["igb.Link.*"]
instead = { "virtio-net" = "has none", 82574 = "in software" }
[[section.feature]]
name = "DCB"
dpdk = ["DCB"]
left_out = "nobody does"
"""

PAIRS = ("e1000e", "i350", "i210", "vmxnet3", "sim_virtio", "sim_virtio_packed", "virtio", "virtio_packed", "xdp")


def run_of(**states: str) -> Run:
    """A run with the tests of TABLE, which passed by default; None means that a test did not run."""
    names = {name: "passed" for name in ("igb.Link.IsUp", "igb.Link.IsDown", "qemu.Link.IsUp", "guest.link", "igb.Igb/LaterCard.Link/I350")}
    names |= {f"conformance.Ports/Control.Link/{pair}": "passed" for pair in PAIRS}
    names |= {name.replace("__", "."): state for name, state in states.items()}
    return Run([Result(name, state, suite="unit.release", detail="no avx512") for name, state in names.items() if state])


class Claims(unittest.TestCase):
    def test_is_shown_by_a_test_that_passed(self):
        run = Run([Result("igb.A.B", "passed"), Result("igb.A.C/sim  # GetParam() = 8-byte object <00>", "passed")])
        self.assertEqual(run.check(["igb.A.B"]).state, SHOWN)
        self.assertEqual(run.check(["igb.A.*"]).state, SHOWN)
        self.assertEqual(run.check(["igb.A.C/sim"]).state, SHOWN, "ctest's text about the parameter is not part of the name")

    def test_is_stale_where_no_such_test_ran_or_one_failed(self):
        run = Run([Result("igb.A.B", "passed", suite="unit.release"), Result("igb.A.B", "failed", suite="unit.asan"),
                   Result("igb.A.C", "passed")])
        self.assertEqual(run.check(["igb.A.D"]).state, STALE)
        self.assertEqual(run.check(["igb.a.c"]).state, STALE, "names are case-sensitive")
        self.assertIn("unit.asan", run.check(["igb.A.B"]).reason)
        self.assertEqual(run.check(["igb.A.*"]).state, STALE, "one of several failed")
        self.assertEqual(run.check(["igb.A.C", "igb.A.D"]).state, STALE, "each pattern needs a test")
        self.assertEqual(run.check([]).state, STALE)

    def test_is_left_out_where_its_tests_could_not_run(self):
        run = Run([Result("igb.A.B", "skipped", detail="this processor\n has no avx512"), Result("igb.A.C", "passed")])
        self.assertEqual(run.check(["igb.A.B"]), claims.ClaimResult(LEFT_OUT, "igb.A.B was left out: this processor has no avx512"))
        self.assertEqual(run.check(["igb.A.*"]).state, SHOWN)
        self.assertEqual(run.check(["igb.A.B", "igb.A.D"]).state, STALE)

    def test_is_not_judged_by_a_run_that_has_not_all_tests(self):
        run = Run([Result("igb.A.B", "passed"), Result("igb.A.C", "failed")], judges_all=False)
        self.assertEqual(run.check(["igb.A.B"]).state, SHOWN)
        self.assertEqual(run.check(["igb.A.B", "igb.A.D"]), claims.ClaimResult(LEFT_OUT, "no test called igb.A.D ran"))
        self.assertEqual(run.check(["igb.A.C"]).state, STALE)

    def test_needs_results(self):
        with self.assertRaises(LabError):
            claims.read_run(pathlib.Path("/nowhere/results.json"))


class Folder(unittest.TestCase):
    """A project folder with the table above, its page and the rows of concepts."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        (self.root / "docs").mkdir()
        (self.root / "lib").mkdir()
        (self.root / "lib/a.cpp").write_text("")
        (self.root / features.THREATS).write_text("")
        self.concepts({})
        self.table(TABLE)
        self.write()

    def table(self, text: str) -> None:
        (self.root / features.TABLE).write_text(text)

    def concepts(self, rows: dict[int, tuple[str, list[str]]]) -> None:
        """Rows with their places and tests; the others are missing."""
        lines = [f"| {n} | c | k | {rows[n][0] if n in rows else 'not there yet'} |" for n in range(1, concepts.ROWS + 1)]
        (self.root / concepts.PAGE).write_text("\n".join(lines) + "\n")
        shown = "".join(f"{n} = {json.dumps(tests)}\n" for n, (_, tests) in rows.items() if tests)
        self.table(TABLE.replace("[[section]]", f"[concepts]\n{shown}[[section]]", 1))
        self.write()

    def write(self, run: Run | None = None) -> str:
        features.write(self.root, run or run_of())
        return (self.root / features.PAGE).read_text()

    def evidence(self) -> str:
        return (self.root / features.EVIDENCE).read_text()

    def states_of(self, run: Run) -> dict[str, str]:
        return {result.name: result.state for result in features.check(self.root, run)}


class Page(Folder):
    def test_says_what_passed(self):
        page = self.write()
        self.assertIn("| link | Link status: igb, igb_vf | `get_link` | sim: yes; qtest, guest: in part | qtest: yes; guest: not tried | "
                      "in part | yes | qtest: yes; guest: not tried | sim, qtest: yes; guest: no kernel | in part |", page)
        self.assertIn("| PHY | no | no | sim: yes; qtest, guest: not tried | in software | not tried | not tried | not tried | has none | not tried |", page)
        self.assertIn("- link, 82576 qtest, 82576 guest: only one speed.\n- link, I350, `xdp:`: no speed.", page)
        self.assertIn("| DCB | DCB: igb | no | nobody does |", page)
        self.assertNotIn("igb.Link", page, "what shows it is on a page of its own")
        self.assertIn("- link. 82576 sim: `igb.Link.*`. 82576 qtest: `qemu.Link.IsUp`", self.evidence())
        self.assertIn("virtio-net sim: `conformance.Ports/Control.Link/sim_virtio`, `conformance.Ports/Control.Link/sim_virtio_packed`", self.evidence())
        self.assertEqual(page, self.write(), "the page is reproducible")
        self.assertEqual(set(self.states_of(run_of()).values()), {"passed"})

    def test_says_no_where_a_test_failed_or_is_missing(self):
        for state in ("failed", None):
            run = run_of(igb__Link__IsUp=state, igb__Link__IsDown=state)
            self.assertIn("| `get_link` | sim: no; qtest, guest: in part |", features.render(features.load(self.root / features.TABLE), run))
            checked = self.states_of(run)
            self.assertEqual(checked["claim: link on 82576 sim"], "failed")
            self.assertEqual(checked["docs/features.md"], "failed")
            self.assertEqual(checked["docs/evidence.md"], "failed")

    def test_keeps_claims_whose_tests_could_not_run(self):
        run = run_of(igb__Link__IsUp="skipped", igb__Link__IsDown="skipped")
        checked = self.states_of(run)
        self.assertEqual(checked["claim: link on 82576 sim"], "skipped")
        self.assertEqual((checked["docs/features.md"], checked["docs/evidence.md"]), ("passed", "passed"))

    def test_a_case_counts_for_each_pair_of_ports(self):
        run = Run([Result(f"conformance.Ports/Control.Link/{pair}", "passed") for pair in PAIRS if pair != "sim_virtio_packed"])
        self.assertEqual(self.states_of(run)["claim: link on virtio-net sim"], "failed", "packed rings did not run")
        self.assertNotIn("claim: link on virtio-net qtest", self.states_of(run))

    def test_is_compared_with_the_run(self):
        for page in (features.PAGE, features.EVIDENCE):
            self.write()
            (self.root / page).write_text((self.root / page).read_text().replace("link", "cable"))
            self.assertEqual(self.states_of(run_of())[str(page)], "failed")
            (self.root / page).unlink()
            self.assertEqual(self.states_of(run_of())[str(page)], "failed")

    def test_refuses_a_table_with_missing_or_invented_names(self):
        for wrong in (TABLE.replace('dpdk = ["DCB"]', ""), TABLE.replace('linux = ["get_link"]', ""),
                      TABLE.replace('pf = ["Link status", "DCB"]', 'pf = ["Link status"]'),
                      TABLE.replace("igb.Link.*", "qemu.Link.IsUp"), TABLE.replace("igb.Link.*", "guest.link"),
                      TABLE.replace("qemu.Link.IsUp", "conformance.Ports/A.B/sim"),
                      TABLE.replace("qemu.Link.IsUp", "qemu.Virtio.IsUp"), TABLE.replace("igb.Link.*", "conformance.Ports/A.B/xdp"),
                      TABLE.replace("igb.Link.*", "ports.XdpPort.*"), TABLE.replace("guest.link", "guest.virtio_link"),
                      TABLE.replace("LaterCard.Link/I350", "LaterCard.Link/I211"), TABLE.replace("igb.Igb/LaterCard.Link/I350", "igb.Link.*"),
                      TABLE.replace("virtio_guest =", "xdp ="), TABLE.replace("virtio_guest =", "moon ="),
                      TABLE.replace('left_out = "nobody does"', 'left_out = "nobody does"\nsim.tests = ["igb.Link.*"]'),
                      TABLE.replace("left_out", "unknown")):
            self.table(wrong)
            with self.assertRaises(LabError):
                features.load(self.root / features.TABLE)
            self.assertEqual(self.states_of(run_of()), {"docs/features.toml": "failed"})


class Concepts(Folder):
    def test_need_a_file_and_a_test_or_a_note_that_they_are_missing(self):
        self.concepts({3: ("`lib/a.cpp`", ["igb.Link.*", "lib/a.cpp"]), 4: ("out of scope: the stack", [])})
        self.assertEqual(set(self.states_of(run_of()).values()), {"passed"})
        self.assertIn("- 3, c. `igb.Link.*`, `lib/a.cpp`\n", self.evidence())
        for wrong in (("`lib/a.cpp`", []), ("something", ["igb.Link.*"]), ("not there yet", ["igb.Link.*"])):
            self.concepts({3: wrong})
            self.assertEqual(self.states_of(run_of())["docs/concepts.md"], "failed", wrong)

    def test_are_stale_without_their_test(self):
        self.concepts({3: ("`lib/a.cpp`", ["igb.Gone.*"])})
        self.assertEqual(self.states_of(run_of())["claim: row 3, c"], "failed")

    def test_must_be_complete(self):
        page = self.root / concepts.PAGE
        page.write_text("".join(page.read_text().splitlines(keepends=True)[:-1]))
        self.assertEqual(self.states_of(run_of())["docs/concepts.md"], "failed")


class Promises(Folder):
    def test_need_a_test_that_passed(self):
        page = self.root / features.THREATS
        page.write_text("Words.\n\n- Promised: it is `safe`.\n  Shown by: `igb.Link.*`,\n  `igb.Link.IsUp`.\n- Not promised: else.\n\n"
                        "Built well. Shown by: `igb.Link.*`.\n")
        self.assertEqual(claims.promises(page.read_text()), [("it is `safe`.", ["igb.Link.*", "igb.Link.IsUp"]), ("Built well.", ["igb.Link.*"])])
        page.write_text("- Promised: it is safe.\n  Shown by: `igb.Link.*`.\n")
        self.assertEqual(set(self.states_of(run_of()).values()), {"passed"})
        for wrong in ("\n  Shown by: `igb.Gone.*`.", ""):
            page.write_text(f"- Promised: it is safe.{wrong}\n")
            self.assertEqual(self.states_of(run_of())["claim: docs/security.md, it is safe."], "failed", wrong)


class Documents(Folder):
    def test_name_existing_files(self):
        name = "files that the documents name"
        (self.root / "README.md").write_text("`lib/a.cpp`, `lib/a`, `lib/*.cpp`, `lib/`, `include/uapi/linux`, `build/x`, `lib/a.cpp --fix`\n")
        self.assertEqual(self.states_of(run_of())[name], "passed")
        for wrong in ("lib/b.cpp", "tests/none/", "lib/*.hpp", "tools/none --fix"):
            (self.root / "README.md").write_text(f"`{wrong}`\n")
            self.assertEqual(self.states_of(run_of())[name], "failed", wrong)

    def test_link_to_existing_files_and_headings(self):
        name = "links of the documents"
        (self.root / "README.md").write_text("# A title, with `code`\n[a](docs/features.md) [b](#a-title-with-code) [c](https://a.b/c)\n")
        (self.root / "docs/b.md").write_text("![d](../lib/a.cpp) [e](../README.md#a-title-with-code)\n")
        self.assertEqual(self.states_of(run_of())[name], "passed")
        for wrong in ("docs/gone.md", "#gone", "docs/features.md#gone"):
            (self.root / "README.md").write_text(f"[a]({wrong})\n")
            self.assertEqual(self.states_of(run_of())[name], "failed", wrong)

    def test_have_a_row_for_each_tag_in_the_code(self):
        name = "rows of interpretations and errata on which the code depends"
        (self.root / "docs/82576").mkdir()
        (self.root / "docs/82576/interpretations.md").write_text("| tag |\n|---|\n| I-M-PHY | what |\n")
        (self.root / "lib/a.cpp").write_text("// [I-M-PHY] as described\n")
        self.assertEqual(self.states_of(run_of())[name], "passed")
        (self.root / "lib/a.cpp").write_text("// [I-M-PHY] and E-GONE\n")
        self.assertEqual(self.states_of(run_of())[name], "failed")


class APlainRun(Folder):
    """Does not judge all claims: it counts the others as one that is left out, and compares no page."""

    def check(self, **states) -> dict[str, Result]:
        run = run_of(**states)
        run.judges_all = False
        return {result.name: result for result in features.check(self.root, run)}

    def test_counts_what_it_did_not_judge(self):
        (self.root / features.PAGE).write_text("old\n")
        results = self.check(guest__link=None)
        self.assertNotIn("failed", {result.state for result in results.values()})
        self.assertNotIn(str(features.PAGE), results)
        left_out = results["claims that were not judged"]
        self.assertRegex(left_out.detail, r"^\d+ of \d+ claims are shown by this run, the other [1-9]\d* were not judged \(--ci judges them\)$")
        self.assertEqual([name for name in results if name.startswith("claim: ")], [])

    def test_fails_with_a_claim_whose_test_failed(self):
        failed = [name for name, result in self.check(guest__link="failed").items() if result.state == "failed"]
        self.assertEqual(len(failed), 1)
        self.assertTrue(failed[0].startswith("claim: "), failed)


class Command(Folder):
    def call(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["features", "--root", str(self.root), *words]), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(out):
            return features.main(), out.getvalue()

    def results(self, state: str) -> None:
        path = self.root / features.RESULTS
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("igb.Link.IsUp", "qemu.Link.IsUp", "guest.link", "igb.Igb/LaterCard.Link/I350",
                 *(f"conformance.Ports/Control.Link/{pair}" for pair in PAIRS))
        path.write_text(json.dumps({"depth": "ci", "whole": True, "results": [{"name": name, "state": state, "suite": "unit.release", "reason": ""} for name in names]}))

    def test_compares_and_writes(self):
        self.assertEqual(self.call()[0], 1, "without results there is nothing to compare with")
        self.results("passed")
        self.assertEqual(self.call()[0], 0)
        (self.root / features.PAGE).write_text("old\n")
        status, out = self.call()
        self.assertEqual(status, 1)
        self.assertIn("tools/features --write", out)
        self.assertEqual(self.call("--write")[0], 0)
        self.assertEqual(self.call()[0], 0)
        self.results("failed")
        self.assertEqual(self.call()[0], 1)


class AtTheEndOfARun(unittest.TestCase):
    """tools/test checks the claims at its end."""

    def test_a_stale_claim_fails_the_run(self):
        with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stderr(io.StringIO()):
            step = StepRun(Options(pathlib.Path(scratch)), Commands(pathlib.Path(scratch), {}), Summary())
            with mock.patch.object(runner_steps.features, "check", return_value=[Result("claim: x on sim", "failed", suite="claims")]):
                runner_steps.compare_claims(step)
            self.assertEqual([result.state for result in step.results], ["failed"])


def in_sources(test: str) -> str:
    """The pattern as it is in the sources: without the program, the instantiation, the parameter or the VFIO access mode."""
    if test.startswith("guest."):
        return re.sub(r"(_via)?_\*$|_via_\w+$|_by_\w+$", "*", test)
    if test.startswith(("instruction_gate.", "interop.")):
        return test
    suite = re.sub(r"^\w+/", "", test.split(".", 1)[1])
    return suite.split("/")[0]


class Project(unittest.TestCase):
    """The project's own table and pages, as far as they can be checked without a run."""

    def test_table_has_no_mistakes(self):
        features.load(ROOT / features.TABLE)

    def test_concepts_have_no_mistakes(self):
        shown = concepts.tests(features.load(ROOT / features.TABLE).facts)
        self.assertEqual(concepts.mistakes(concepts.rows((ROOT / concepts.PAGE).read_text()), shown), [])

    def test_pages_are_those_of_a_run_that_shows_all(self):
        table, every = features.load(ROOT / features.TABLE), mock.Mock(check=lambda patterns: claims.ClaimResult(SHOWN))
        rows = concepts.rows((ROOT / concepts.PAGE).read_text())
        self.assertEqual((ROOT / features.PAGE).read_text(), features.render(table, every), features.REMEDY)
        self.assertEqual((ROOT / features.EVIDENCE).read_text(), features.render_evidence(table, every, rows), features.REMEDY)

    def test_documents_name_existing_files(self):
        self.assertEqual(claims.missing_paths(ROOT), [])

    def test_each_promise_names_a_test(self):
        promises = claims.promises((ROOT / features.THREATS).read_text())
        self.assertGreater(len(promises), 20)
        self.assertEqual([promise for promise, tests in promises if not tests], [])

    def test_documents_link_to_what_exists(self):
        self.assertEqual(claims.broken_links(ROOT), [])

    def test_claims_name_tests_of_the_sources(self):
        """A quick check in advance; only a run is certain."""
        macro = re.compile(r"^(?:\w*TEST\w*)\((\w+), *(\w+)", re.MULTILINE)
        there = {f"{suite}.{name}" for source in (ROOT / "tests").rglob("*.cpp") for suite, name in macro.findall(source.read_text())}
        there |= {f"guest.{name}" for source in (ROOT / "tests/guest/cases").glob("*.py")
                  for name in re.findall(r"^def (\w+)\(fixture", source.read_text(), re.MULTILINE)}
        for source in (ROOT / "tests/interop").glob("*_test.py"):
            text = source.read_text()
            there |= {f"interop.{source.stem.removesuffix('_test')}.{suite}.{name}"
                      for suite in re.findall(r"^class (\w+)", text, re.MULTILINE) for name in re.findall(r"def (test_\w+)", text)}
        python = {f"{name}.{suite}.{case}" for listing in (ROOT / "tests").rglob("CMakeLists.txt")
                  for name, source in re.findall(r"pollux_python_test\(([\w.]+)\s+(\w+\.py)", listing.read_text())
                  for text in [(listing.parent / source).read_text()]
                  for suite in re.findall(r"^class (\w+)", text, re.MULTILINE) for case in re.findall(r"def (test_\w+)", text)}
        python |= {f"hostile.{source.stem.removesuffix('_test')}.Attacks.test_{name}" for source in (ROOT / "tests/hostile").glob("*_test.py")
                   for name in re.findall(r'^    \("(\w+)", ', source.read_text(), re.MULTILINE)}  # a row each
        there |= {f"instruction_gate.{path}" for path in ("scalar", "avx2", "avx512")}
        python |= {f"fuzz.{source.stem.removesuffix('_fuzz')}" for source in (ROOT / "tests/fuzz").glob("*_fuzz.cpp")}
        named = [test for feature in features.load(ROOT / features.TABLE).features() for claim in feature.claims.values() for test in claim.tests]
        named += [test for tests in concepts.tests(features.load(ROOT / features.TABLE).facts).values() for test in tests if not claims.is_path(test)]
        named += [test for _, tests in claims.promises((ROOT / features.THREATS).read_text()) for test in tests]
        self.assertGreater(len(named), 100)
        missing = [test for test in dict.fromkeys(named) if not fnmatch.filter(there, in_sources(test)) and not fnmatch.filter(python, test)]
        self.assertEqual(missing, [])

    def test_tags_have_their_rows(self):
        self.assertEqual(claims.missing_tags(ROOT), [])


if __name__ == "__main__":
    unittest.main()
