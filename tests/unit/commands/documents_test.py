# SPDX-License-Identifier: BSD-3-Clause
"""What the pollux command says about itself: --help and man pages of each subcommand, and completion in bash, zsh and fish. The shells and
mandoc judge."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
POLLUX = sys.argv.pop(1) if len(sys.argv) > 1 else "pollux"


def run(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, **options)


def help_of(*path: str) -> str:
    shown = run(POLLUX, *path, "--help")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def subcommands(*path: str) -> list[str]:
    _, _, listed = help_of(*path).partition("\nSubcommands:\n")
    return re.findall(r"^  (\S+)", listed.split("\n\n")[0], re.MULTILINE)


def all_paths() -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop(0)
        paths.append(path)
        waiting += [(*path, name) for name in subcommands(*path)]
    return paths


class WrongWords(unittest.TestCase):
    def test_a_word_that_is_no_command_is_named(self):
        for words in (["bogus"], ["vf", "bogus"]):
            with self.subTest(words):
                shown = run(POLLUX, *words)
                self.assertEqual(shown.returncode, 2, shown)
                self.assertIn("'bogus'", shown.stderr)


class Settings(unittest.TestCase):
    def setUp(self):
        self.listed = json.loads(run(POLLUX, "settings", "--json").stdout)

    def test_each_has_a_name_of_its_own_values_and_a_meaning(self):
        self.assertEqual(len({one["name"] for one in self.listed}), len(self.listed))
        for one in self.listed:
            self.assertTrue(one["value"] and one["about"], one)

    def test_all_members_of_settings_are_listed(self):
        header = (ROOT / "include/pollux/net/settings.hpp").read_text()
        members = re.findall(r"^  (\w+),$", header[header.index("enum class Setting "):header.index("inline constexpr std::size_t kSettings")], re.M)
        names = {one["name"].split(".")[0].removesuffix("_ns") for one in self.listed}
        self.assertEqual(names, set(members))

    def test_the_document_has_this_list(self):
        rows = "".join(f"| `{one['name']}` | {one['value']} | {one['about']} |\n" for one in self.listed)
        self.assertIn(rows, (ROOT / "docs/settings.md").read_text(), "put these rows into docs/settings.md")

    def test_the_text_has_a_setting_and_its_meaning_in_turn(self):
        lines = run(POLLUX, "settings").stdout.splitlines()
        self.assertEqual(lines, [line for one in self.listed for line in (f"{one['name']}={one['value']}", f"    {one['about']}")])


class Help(unittest.TestCase):
    def test_each_command_has_examples_with_options_that_it_has(self):
        for path in all_paths():
            with self.subTest(path):
                text = help_of(*path)
                examples = re.findall(r"^ *(?:sudo )?(pollux\b.*)$", text, re.MULTILINE)
                self.assertTrue([line for line in examples if line.startswith(" ".join(("pollux", *path)))], text)
                for line in examples:
                    for option in re.findall(r" (--[a-z-]+)", line.split(" > ")[0]):
                        if line.startswith(" ".join(("pollux", *path))) and path:
                            self.assertRegex(text, re.escape(option) + r"\b", line)

    def test_there_are_many_commands(self):
        self.assertGreater(len(all_paths()), 15)
        self.assertIn(("vf", "create"), all_paths())

    def test_errors_are_status_2(self):
        for words in (["nonsense"], ["bind"], ["list", "--nonsense"], ["completion", "tcsh"], []):
            self.assertEqual(run(POLLUX, *words).returncode, 2, words)

    def test_words_of_the_command_line_are_shown_without_control_characters(self):
        hostile = "\033[2J\nforged\u202e"
        for words in ([hostile], ["list", hostile], ["list", f"--{hostile}"], ["list", f"--json={hostile}"], ["completion", hostile]):
            shown = run(POLLUX, *words).stderr
            self.assertIn("[2J?forged?", shown)
            self.assertNotIn("\033", shown)

    def test_no_colours_without_a_terminal(self):
        self.assertNotIn("\033", run(POLLUX, "doctor").stdout)

    def test_colours_on_a_terminal_unless_they_are_turned_off(self):
        def on_terminal(**variables: str) -> str:
            return run("script", "-qec", f"{POLLUX} doctor", "/dev/null", env={"PATH": "/usr/bin:/bin", **variables}).stdout
        self.assertIn("\033[", on_terminal(TERM="xterm"))
        for variables in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
            shown = on_terminal(**variables)
            self.assertIn("mounts", shown)
            self.assertNotIn("\033", shown, variables)


class Manual(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.assertEqual(run(POLLUX, "manual", str(self.folder)).returncode, 0)

    def test_there_is_a_page_for_each_command(self):
        expected = {"-".join(("pollux", *path)) + ".1" for path in all_paths()}
        self.assertEqual({page.name for page in self.folder.iterdir()}, expected)

    def test_mandoc_finds_no_fault(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        linted = run("mandoc", "-T", "lint", "-W", "warning", *map(str, sorted(self.folder.iterdir())))
        # The pages have no date, so that the same source makes the same pages.
        faults = [line for line in linted.stdout.splitlines() if "missing date" not in line]
        self.assertEqual(faults, [])

    def test_pages_show_options_and_examples(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        shown = run("mandoc", "-T", "ascii", str(self.folder / "pollux-bind.1")).stdout
        text = re.sub(r".\x08", "", shown)
        for part in ("pollux-bind - Move ports", "--confirm UINT", "Keep what --confirm has bound",
                     "pollux bind --force --confirm 60 0000:01:00.0", "EXIT STATUS", "SEE ALSO"):
            self.assertIn(part, text)

    def test_example_lines_are_no_part_of_a_sentence(self):
        def page(command: str) -> str:
            return (self.folder / f"pollux-{command}.1").read_text().replace("\\-", "-")
        for command, example in (("xdp-helper", "l2fwd 'xdp:eth1?rule=udp:53,"), ("capture", "wireshark -k -i plx0 "), ("vf-serve", "--vf 0:mac=")):
            examples = page(command).partition(".SH EXAMPLES\n.nf\n")[2].partition(".fi\n")[0]
            self.assertTrue([line for line in examples.splitlines() if line.strip().startswith(example)], page(command))
        self.assertIn("\nRuns until Ctrl-C.", page("xdp-helper").partition(".SH OPTIONS")[0])
        self.assertRegex(page("card"), r"QEMU 11 has the client:\n\.nf\n  .*memory.*\n  .*device.*\n\.fi\n")

    def test_a_folder_that_cannot_be_written(self):
        refused = run(POLLUX, "manual", "/dev/null/below")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("cannot write", refused.stderr)
        empty = self.folder / "empty"
        empty.mkdir()
        refused = run(POLLUX, "manual", "", cwd=empty)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("the value is empty", refused.stderr)
        self.assertEqual(list(empty.iterdir()), [])


# What each line completes to.
CASES = {
    "pollux unb": {"unbind"},
    "pollux bind --conf": {"--confirm", "--confirmed"},
    "pollux -v vf cr": {"create"},
    "pollux completion z": {"zsh"},
    "pollux doctor --fi": {"--fix"},
    "pollux info --nonsense-": set(),
    # By bash, which splits words at ':' unless it is told not to, without what is before it.
    "pollux info sim:": {"sim:0", "sim:1"},
    "pollux bench sim:0 sim:": {"sim:0", "sim:1"},
    # Those of running programs.
    "pollux stats ": {"plx0", "plx12"},
    "pollux stats plx1": {"plx12"},
    "pollux capture plx": {"plx0", "plx12"},
    "pollux ethtool -S plx0": {"plx0"},
    "pollux stats sim:": set(),
}
DEVICES = sorted(path.name for path in pathlib.Path("/sys/bus/pci/devices").glob("*"))
if DEVICES:
    CASES[f"pollux info {DEVICES[0]}"] = {DEVICES[0]}
    CASES[f"pollux info vfio:{DEVICES[0]}"] = {f"vfio:{DEVICES[0]}"}


class Completion(unittest.TestCase):
    def script(self, shell: str) -> str:
        if not shutil.which(shell):
            self.skipTest(f"{shell} is not installed")
        shown = run(POLLUX, "completion", shell)
        self.assertEqual(shown.returncode, 0)
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "script"
        path.write_text(shown.stdout)
        return str(path)

    def program(self) -> str:
        """In place of pollux: the running programs have two ports, and some that a shell would read as commands."""
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "pollux"
        path.write_text("#!/bin/sh\n[ \"$*\" = ports ] && printf '%s 2\\n' PORT plx0 plx12 'plx$(echo>&2)3' 'plx`echo`4' 'plx;5'\n")
        path.chmod(0o755)
        return str(path)

    def check(self, complete) -> None:
        for line, expected in CASES.items():
            with self.subTest(line):
                offered = complete(line)
                # Where a port may follow, options may, too.
                self.assertEqual({word for word in offered if line[-1] != " " or not word.startswith("-")}, expected)
        self.assertEqual(complete("pollux "), complete("pollux ") | set(subcommands()))

    def test_bash(self):
        script = self.script("bash")

        program = self.program()
        for breaks in (" \t\n\"'><=;|&(:", " \t\n\"'><=;|&("):
            def complete(line: str) -> set[str]:
                code = 'source "$1"; COMP_WORDBREAKS=$4 COMP_LINE=$2 COMP_POINT=${#2}; _pollux "$3"; printf "%s\\n" "${COMPREPLY[@]}"'
                done = run("bash", "-uc", code, "bash", script, line, program, breaks)
                self.assertEqual(done.stderr, "")
                word = line.split(" ")[-1]
                before = word[:word.rfind(":") + 1] if ":" in breaks else ""
                return {before + offered for offered in done.stdout.split()}
            self.check(complete)

    def test_zsh(self):
        script = self.script("zsh")
        # Stand-ins for zsh's completion system, which works only at a prompt: they print what would be offered.
        stand_ins = """
        _describe() { local entry; for entry in ${(P)2}; do entry=${entry//\\\\:/@@}; entry=${entry%%:*}; print -r -- ${entry//@@/:}; done }
        compadd() { shift; print -rl -- $@ }
        _files() { : }; compdef() { : }
        """

        program = self.program()

        def complete(line: str) -> set[str]:
            code = stand_ins + 'source $1; words=("${(@s: :)2}"); CURRENT=$#words; words[1]=$3; _pollux'
            done = run("zsh", "-fc", code, "zsh", script, line, program)
            self.assertEqual(done.stderr, "")
            return {word for word in done.stdout.split() if word.startswith(line.split(" ")[-1])}
        self.check(complete)

    def test_fish(self):
        script = self.script("fish")
        program = self.program()

        def complete(line: str) -> set[str]:
            with tempfile.TemporaryDirectory() as home:
                done = run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'",
                           env={"HOME": home, "PATH": f"{pathlib.Path(program).parent}:/usr/bin:/bin"})
            self.assertEqual(done.stderr, "")
            return {entry.split("\t")[0] for entry in done.stdout.splitlines()}
        self.check(complete)


if __name__ == "__main__":
    unittest.main()
