# SPDX-License-Identifier: BSD-3-Clause
"""The commands in the documents exist, and have the options that they are shown with; the packages are those that the tools install.

usage: commands_test.py PROGRAM...    the programs whose commands are checked
"""

import contextlib
import functools
import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

import documents

PROGRAMS = {pathlib.Path(word).name: [word] for word in sys.argv[1:]}
del sys.argv[1:]
PROGRAMS |= {f"tools/{path.name}": [str(path)] for path in (documents.ROOT / "tools").iterdir() if path.is_file() and os.access(path, os.X_OK)}
# An indented line or what is quoted in a table or a sentence; a line may begin with what runs the command.
COMMAND = re.compile(r"^(?:sudo |\./|\$ |ip netns exec \w+ )*")
PAGES = ("*.md", "docs/**/*.md")


def commands(text: str) -> list[str]:
    code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in re.findall(r"^ {4,}\S.*$", code, re.MULTILINE)]
    quoted = re.findall(r"`([^`\n]+)`", code)
    return [COMMAND.sub("", line) for line in [*lines, *quoted]]


def words_of(command: str) -> list[str]:
    """The words of one of our commands; empty if it is none of them."""
    words = re.sub(r"\s#.*", "", command).split()
    if not words or words[0] not in PROGRAMS:
        return []
    with contextlib.suppress(ValueError):  # a part of a command has no end
        words = shlex.split(command, comments=True)
    end = next((place for place, word in enumerate(words) if word in ("|", "&", "&&", ";", ">", "2>")), len(words))
    return words[:end]


@functools.cache
def help_of(*words: str) -> str | None:
    """None if there is no such command."""
    ran = subprocess.run([*PROGRAMS[words[0]], *words[1:], "--help"], capture_output=True, text=True, timeout=60)
    # pollux answers a command that it does not know with its own help.
    known = ran.returncode == 0 and (len(words) == 1 or f"Usage: {' '.join(words)} " in ran.stdout)
    return ran.stdout + ran.stderr if known else None


def mistakes(words: list[str]) -> list[str]:
    called = [words[0]]
    for word in words[1:3] if words[0] == "pollux" else []:  # pollux COMMAND, or pollux vf serve
        if not re.fullmatch(r"[a-z][a-z0-9-]+", word) or (len(called) > 1 and help_of(*called, word) is None):
            break
        called.append(word)
    text = help_of(*called)
    if text is None:
        return [f"there is no command {' '.join(called)}"]
    if called[1:] == ["ethtool"]:
        return []  # its options are the system's ethtool's
    options = [word.split("=")[0].rstrip(".,") for word in words[len(called):] if re.fullmatch(r"--[a-z][\w-]*(=.*)?[.,]?", word)]
    return [f"{' '.join(called)} has no option {option}" for option in options if not re.search(rf"{option}(?![\w-])", text)]


def bare(command: str) -> str:
    """A command without its comment and what is in quotes."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", re.sub(r"\s#.*", "", command))


class Commands(unittest.TestCase):
    def test_what_a_shell_would_change_is_in_quotes(self):
        """zsh looks for a file with the name sim:0?card=virtio-net, and ends a command that matches none."""
        helps = [help_of("pollux", *command.split()) for command in ("bench", "vf", "vf serve", "vf create", "card", "capture", "xdp-helper")]
        pages = [page.read_text() for pattern in PAGES for page in documents.ROOT.glob(pattern) if page.name != "CHANGELOG.md"]
        lines = [command for page in pages for command in commands(page)] + [line.strip() for text in helps for line in text.splitlines()]
        self.assertEqual([line for line in lines if words_of(line) and re.search(r"\?|[*;&]\w", bare(line))], [])

    def test_exist_with_their_options(self):
        wrong, seen = [], 0
        for page in sorted({page for pattern in PAGES for page in documents.ROOT.glob(pattern)} - {documents.ROOT / "CHANGELOG.md"}):
            for command in commands(page.read_text()):
                words = words_of(command)
                seen += bool(words)
                wrong += [f"{page.relative_to(documents.ROOT)}: {command}: {mistake}" for mistake in mistakes(words)] if words else []
        self.assertEqual(wrong, [])
        self.assertGreater(seen, 150)

    def test_a_wrong_one_is_found(self):
        self.assertEqual(mistakes(["pollux", "list"]), [])
        self.assertEqual(mistakes(["pollux", "vf", "serve", "1"]), [])
        self.assertEqual(mistakes(["pollux", "dance"]), ["there is no command pollux dance"])
        self.assertEqual(mistakes(["pollux", "bind", "--dance"]), ["pollux bind has no option --dance"])
        self.assertEqual(words_of("pollux stats 'a b' --json | less"), ["pollux", "stats", "a b", "--json"])


class Packages(unittest.TestCase):
    def test_to_build_are_those_that_the_tools_install(self):
        page = (documents.ROOT / "docs/guide/first-program.md").read_text()
        paragraph = next(part for part in page.split("\n\n") if part.startswith("Install Pollux"))
        named = {word for words in re.findall(r"`([^`]+)`", paragraph) for word in words.split() if not words.startswith("pollux ")}
        command = '. "$1" && packages_for build'
        ran = subprocess.run(["bash", "-c", command, "bash", documents.ROOT / "tools/lib/packages.sh"], capture_output=True, text=True, check=True)
        self.assertEqual(named, set(ran.stdout.split()))


if __name__ == "__main__":
    unittest.main()
