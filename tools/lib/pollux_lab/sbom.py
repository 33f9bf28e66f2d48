# SPDX-License-Identifier: BSD-3-Clause
"""The list of software of a source tarball, as SPDX: what `reuse spdx` says of its files, and what they are built on. The same sources
give the same bytes: the time is that of the commit, and files are in the order of their names."""

import argparse
import pathlib
import re
import subprocess
import sys

DEPENDENCIES = "docs/licences.md"


def dependencies(table: str) -> list[tuple[str, str, str]]:
    """Name, Debian package and licence of each row of the table in docs/licences.md."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    return [(row[0], row[1], row[2]) for row in rows[2:]]


def described(name: str, package: str, licence: str) -> str:
    reference = "SPDXRef-" + re.sub("[^A-Za-z0-9.]+", "-", name)
    return (f"PackageName: {name}\nSPDXID: {reference}\nPackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\n"
            f"PackageLicenseConcluded: {licence}\nPackageLicenseDeclared: {licence}\nPackageCopyrightText: NOASSERTION\n"
            f"PackageComment: <text>Debian package {package}</text>\nRelationship: SPDXRef-DOCUMENT DEPENDS_ON {reference}")


def document(said: str, title: str, commit: str, time: str, table: str) -> str:
    head, *files = said.strip().split("\n\nFileName: ")
    relations = sorted(line for line in head.splitlines() if line.startswith("Relationship: "))
    facts = {"DocumentName": title, "DocumentNamespace": f"urn:pollux:{title}:{commit}", "Created": time}
    lines = [line for line in head.splitlines() if not line.startswith("Relationship: ")]
    for number, line in enumerate(lines):
        key = line.split(":", 1)[0]
        lines[number] = f"{key}: {facts[key]}" if key in facts else line
    packages = [described(*row) for row in dependencies(table)]
    return "\n\n".join(["\n".join([*lines, *relations]), *packages, *(f"FileName: {file}" for file in sorted(files))]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--source", "--title", "--commit", "--time"):
        parser.add_argument(option, required=True)
    options = parser.parse_args()
    said = subprocess.run(["reuse", "--root", options.source, "spdx"], stdout=subprocess.PIPE, text=True, check=True).stdout
    table = (pathlib.Path(options.source) / DEPENDENCIES).read_text(encoding="utf-8")
    sys.stdout.write(document(said, options.title, options.commit, options.time, table))


if __name__ == "__main__":
    main()
