# SPDX-License-Identifier: BSD-3-Clause
"""Draws `pollux top` as it looks on a terminal beside a running l2fwd: docs/pictures/top.svg."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from xml.sax.saxutils import escape

from .commands import Parser

PICTURE = pathlib.Path("docs/pictures/top.svg")
TITLE = "pollux top beside l2fwd on two in-process cards"
COLUMNS, LINES = 80, 17
WIDTH, HEIGHT, MARGIN, BASELINE = 8.4, 18, 12, 13  # of a character, for a font of 14 pixels
PAPER, INK = "#1d1f21", "#d8d8d8"
BOLD, UNDERLINED, REVERSE = "1", "4", "7"
SECONDS = 30
_ATTRIBUTES = re.compile(r"\x1b\[([\d;]*)m|\x1b\(B|\x0f|([^\x1b\x0f]+)")


def parts_of(line: str, attributes: set[str]) -> list[tuple[str, frozenset[str]]]:
    """The texts of a line of `tmux capture-pane -e`, each with its attributes. Those at its end stay for the next line."""
    parts = []
    for match in _ATTRIBUTES.finditer(line):
        if match[2]:
            parts.append((match[2], frozenset(attributes)))
        elif match[1] is not None:
            for code in match[1].split(";"):
                if code in ("", "0"):
                    attributes.clear()
                elif code in (BOLD, UNDERLINED, REVERSE):
                    attributes.add(code)
    return parts


def svg(screen: str) -> str:
    lines, attributes, drawn = screen.rstrip("\n").split("\n"), set(), []
    for row, line in enumerate(lines):
        column = 0
        for text, with_attributes in parts_of(line, attributes):
            drawn += _drawn(text, column, row, with_attributes)
            column += len(text)
    width, height = round(COLUMNS * WIDTH + 2 * MARGIN), len(lines) * HEIGHT + 2 * MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">', f"<title>{TITLE}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
        f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="{INK}" xml:space="preserve">', *drawn, "</g></svg>\n"])


def _drawn(text: str, column: int, row: int, attributes: frozenset[str]) -> list[str]:
    if not text.strip() and not attributes:
        return []
    left, top, length = MARGIN + column * WIDTH, MARGIN + row * HEIGHT, len(text) * WIDTH
    words = [f'<rect x="{left:.1f}" y="{top}" width="{length:.1f}" height="{HEIGHT}" fill="{INK}"/>'] if REVERSE in attributes else []
    style = "".join(style for code, style in (
        (REVERSE, f' fill="{PAPER}"'), (BOLD, ' font-weight="bold"'), (UNDERLINED, ' text-decoration="underline"')) if code in attributes)
    return [*words, f'<text x="{left:.1f}" y="{top + BASELINE}" textLength="{length:.1f}"{style}>{escape(text)}</text>']


def capture(programs: pathlib.Path) -> str:
    """What the terminal shows of the port that receives, once its frames are measured."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"XDG_RUNTIME_DIR": folder, "PATH": os.environ["PATH"], "TERM": "xterm"}
        tmux = ["tmux", "-S", f"{folder}/tmux", "-f", "/dev/null"]
        command = [programs / "examples/l2fwd", "sim:0", "sim:1", "--telemetry", "--circulate", "256"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as l2fwd:
            try:
                size = ["-x", str(COLUMNS), "-y", str(LINES)]
                subprocess.run([*tmux, "new-session", "-d", *size, programs / "tools/pollux/pollux", "top"], env=environment, check=True)
                until, screen = time.monotonic() + SECONDS, ""
                while not re.search(r"plx1 \(sim:1\)[^$]*\b100% #", screen):
                    if time.monotonic() > until:
                        raise TimeoutError(f"pollux top does not show what plx1 receives:\n{screen}")
                    if "plx0 (sim:0)" in screen:
                        subprocess.run([*tmux, "send-keys", "Down"], env=environment, check=True)
                    time.sleep(1)
                    screen = subprocess.run([*tmux, "capture-pane", "-e", "-p"], env=environment, capture_output=True, text=True, check=True).stdout
                return screen
            finally:
                subprocess.run([*tmux, "kill-server"], env=environment, check=False)
                l2fwd.kill()


def main() -> int:
    parser = Parser(prog="tools/lib/top-picture", description=f"{__doc__} Needs tmux, and a release build.")
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--build", type=pathlib.Path, help="folder of the build (default: build/release)")
    options = parser.parse_args()
    try:
        picture = svg(capture(options.build or options.root / "build/release"))
    except (OSError, TimeoutError, subprocess.CalledProcessError) as error:
        print(f"top-picture: {error}", file=sys.stderr)
        return 1
    (options.root / PICTURE).write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
