# SPDX-License-Identifier: BSD-3-Clause
"""The list of software of a source tarball, as SPDX 2.3: the package, its files as `reuse spdx` describes them, and the packages that it is
built on. The same sources give the same bytes: the time is that of the commit, and files are in the order of their names."""

import argparse
import hashlib
import pathlib
import re
import subprocess
import sys

DEPENDENCIES = "docs/licences.md"


def dependencies(table: str) -> list[tuple[str, str, str]]:
    """Name, Debian package and licence of each row of the table in docs/licences.md."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    return [(row[0], row[1], row[2]) for row in rows[2:]]


def depended_on(name: str, package: str, licence: str) -> str:
    reference = "SPDXRef-" + re.sub("[^A-Za-z0-9.]+", "-", name)
    return (f"PackageName: {name}\nSPDXID: {reference}\nPackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\n"
            f"PackageLicenseConcluded: {licence}\nPackageLicenseDeclared: {licence}\nPackageCopyrightText: NOASSERTION\n"
            f"ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/{package}\n"
            f"PackageComment: <text>Debian package {package}</text>\nRelationship: SPDXRef-pollux DEPENDS_ON {reference}")


def unlisted(name: str, content: bytes) -> str:
    """A file that reuse does not list: the texts of licences, and its own settings."""
    return (f"FileName: {name}\nSPDXID: SPDXRef-{hashlib.md5(name.encode()).hexdigest()}\nFileChecksum: SHA1: {hashlib.sha1(content).hexdigest()}\n"
            "LicenseConcluded: NOASSERTION\nLicenseInfoInFile: NOASSERTION\nFileCopyrightText: NOASSERTION")


def verification_code(files: list[str]) -> str:
    """SPDX's checksum of all files."""
    sums = sorted(re.search(r"^FileChecksum: SHA1: (\w+)$", file, re.MULTILINE)[1] for file in files)
    return hashlib.sha1("".join(sums).encode()).hexdigest()


def document(said: str, title: str, commit: str, time: str, table: str, contents: dict[str, bytes]) -> str:
    """Of what reuse `said` about the files with these `contents`, only the files are taken: its document has neither a package nor valid
    relationships. In this format files belong to the package above them, so they come before the next one."""
    head, *files = said.strip().split("\n\nFileName: ")
    listed = {file.split("\n", 1)[0] for file in files}
    files = sorted([f"FileName: {file}" for file in files] + [unlisted(*entry) for entry in contents.items() if entry[0] not in listed])
    name, version = title.split("-", 1)
    found = sorted(set(re.findall(r"^LicenseInfoInFile: (.+)$", "\n".join(files), re.MULTILINE)) - {"NOASSERTION"})
    reuse = re.search(r"^Creator: Tool: .+$", head, re.MULTILINE)[0]
    created = (f"SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: {title}\n"
               f"DocumentNamespace: urn:pollux:{title}:{commit}\nCreator: Organization: the Pollux authors\n{reuse}\nCreated: {time}")
    package = (f"PackageName: {name}\nSPDXID: SPDXRef-pollux\nPackageVersion: {version}\nPackageFileName: {title}.tar.gz\n"
               f"PackageSupplier: Organization: the Pollux authors\nPackageDownloadLocation: NOASSERTION\nFilesAnalyzed: true\n"
               f"PackageVerificationCode: {verification_code(files)}\nPackageLicenseConcluded: BSD-3-Clause\n"
               + "".join(f"PackageLicenseInfoFromFiles: {licence}\n" for licence in found) +
               "PackageLicenseDeclared: BSD-3-Clause\nPackageCopyrightText: <text>the Pollux authors</text>\n"
               "PrimaryPackagePurpose: SOURCE\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-pollux")
    return "\n\n".join([created, package, *files, *(depended_on(*row) for row in dependencies(table))]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--source", "--title", "--commit", "--time"):
        parser.add_argument(option, required=True)
    options = parser.parse_args()
    said = subprocess.run(["reuse", "--root", options.source, "spdx"], stdout=subprocess.PIPE, text=True, check=True).stdout
    source = pathlib.Path(options.source)
    table = (source / DEPENDENCIES).read_text(encoding="utf-8")
    contents = {f"./{path.relative_to(source)}": path.read_bytes() for path in source.rglob("*") if path.is_file()}
    sys.stdout.write(document(said, options.title, options.commit, options.time, table, contents))


if __name__ == "__main__":
    main()
