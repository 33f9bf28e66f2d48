# SPDX-License-Identifier: BSD-3-Clause
"""tools/release on clones of this checkout: the same bytes each time, and a list of software that has all files and dependencies."""

import hashlib
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile
import time
import unittest

TEXTS_OF_LICENCES = {".reuse/dep5", "LICENSE", "LICENSES/BSD-3-Clause.txt"}
ROOT = pathlib.Path(__file__).resolve().parents[3]


def output(*words: str, **options) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


@unittest.skipUnless((ROOT / ".git").exists(), "this is no clone, which the tarball is made from")
class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="pollux-release-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.first = cls.made("a")
        cls.title = next(cls.first.glob("*.tar.gz")).name.removesuffix(".tar.gz")

    @classmethod
    def made(cls, name: str, **environment: str) -> pathlib.Path:
        clone = pathlib.Path(cls.folder.name) / name
        output("git", "clone", "-q", "--shared", str(ROOT), str(clone))
        output(str(clone / "tools/release"), env={**os.environ, **environment})
        return clone / "build/dist"

    def test_the_same_commit_gives_the_same_bytes(self):
        time.sleep(1.1)  # a file's time is in seconds
        second = self.made("somewhere else", TZ="Asia/Tokyo", LANG="C", GIT_CONFIG_COUNT="2", GIT_CONFIG_KEY_0="tar.umask",
                           GIT_CONFIG_VALUE_0="0077", GIT_CONFIG_KEY_1="core.autocrlf", GIT_CONFIG_VALUE_1="true")
        for suffix in (".tar.gz", ".spdx", ".sha256"):
            with self.subTest(suffix):
                self.assertEqual((self.first / f"{self.title}{suffix}").read_bytes(), (second / f"{self.title}{suffix}").read_bytes())

    def test_the_tarball_has_the_files_of_the_commit(self):
        with tarfile.open(self.first / f"{self.title}.tar.gz") as tarball:
            packed = {member.name.removeprefix(f"{self.title}/") for member in tarball if not member.isdir()}
        self.assertEqual(packed, set(output("git", "-C", str(ROOT), "ls-tree", "-r", "--name-only", "HEAD").splitlines()))

    def test_the_list_has_each_file_with_its_checksum(self):
        text = (self.first / f"{self.title}.spdx").read_text(encoding="utf-8")
        listed = dict(re.findall(r"^FileName: \./(.*)\n.*\nFileChecksum: SHA1: (\w+)$", text, re.MULTILINE))
        with tarfile.open(self.first / f"{self.title}.tar.gz") as tarball:
            packed = {member.name.removeprefix(f"{self.title}/"): hashlib.sha1(tarball.extractfile(member).read()).hexdigest()
                      for member in tarball if member.isfile()}
        self.assertEqual(listed, packed)
        self.assertNotIn("LicenseInfoInFile: NONE", text)
        unknown = set(re.findall(r"^FileName: \./(.*)\n.*\n.*\n.*\nLicenseInfoInFile: NOASSERTION$", text, re.MULTILINE))
        self.assertEqual(unknown, TEXTS_OF_LICENCES)

    def test_the_list_has_each_library_that_the_build_needs(self):
        text = (self.first / f"{self.title}.spdx").read_text(encoding="utf-8")
        listed = set(re.findall(r"Debian package ([a-z0-9.+-]+)", text))
        needed = output("bash", "-c", "POLLUX_DISTRO=debian-12; . tools/lib/packages.sh; packages_for build", cwd=ROOT).split()
        libraries = {name for name in needed if name.endswith("-dev")}
        self.assertGreater(len(libraries), 10)
        self.assertLessEqual(libraries, listed)
        self.assertEqual(text.count("FilesAnalyzed: false"), text.count("DEPENDS_ON"))

    def test_the_list_is_of_one_package_with_all_files(self):
        text = (self.first / f"{self.title}.spdx").read_text(encoding="utf-8")
        self.assertTrue(text.startswith("SPDXVersion: SPDX-2.3\n"))
        # A file belongs to the package above it.
        self.assertEqual(["Package" if line.startswith("PackageName") else "File" for line in re.findall("^(?:PackageName|FileName): .*", text, re.MULTILINE)],
                         ["Package", *["File"] * text.count("\nFileName: "), *["Package"] * text.count("DEPENDS_ON")])
        relations = re.findall(r"^Relationship: (\S+) (\S+)", text, re.MULTILINE)
        self.assertEqual(relations, [("SPDXRef-DOCUMENT", "DESCRIBES"), *[("SPDXRef-pollux", "DEPENDS_ON")] * text.count("DEPENDS_ON")])
        sums = "".join(sorted(re.findall(r"^FileChecksum: SHA1: (\w+)$", text, re.MULTILINE)))
        self.assertIn(f"PackageVerificationCode: {hashlib.sha1(sums.encode()).hexdigest()}\n", text)

    def test_the_package_needs_what_the_build_needs(self):
        needed = output("bash", "-c", "POLLUX_DISTRO=debian-12; . tools/lib/packages.sh; packages_for build", cwd=ROOT).split()
        control = (ROOT / "debian/control").read_text(encoding="utf-8")
        wanted = control[control.index("Build-Depends:"):control.index("Standards-Version")]
        for name in needed:
            if name != "g++":  # build-essential has it
                self.assertRegex(wanted, rf"\b{re.escape(name)}\b")

    def test_the_package_has_the_version_and_the_soname(self):
        version = re.search(r"VERSION ((\d+\.\d+)\.\d+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
        self.assertEqual(self.title, f"pollux-{version[1]}")
        self.assertTrue((ROOT / "debian/changelog").read_text(encoding="utf-8").startswith(f"pollux ({version[1]}) "))
        self.assertIn(f"\nPackage: libpollux{version[2]}\n", (ROOT / "debian/control").read_text(encoding="utf-8"))
        self.assertTrue((ROOT / f"debian/libpollux{version[2]}.install").exists())

    def test_the_package_takes_programs_from_where_they_are_built(self):
        built = re.findall(r"\$\(BUILT\)/(\S+)/(\S+)", (ROOT / "debian/rules").read_text(encoding="utf-8"))
        self.assertEqual({program for _, program in built}, {"l2fwd", "pktgen", "pollux", "pollux-extcap"})
        for folder, program in built:
            declared = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
            self.assertRegex(declared, rf"(pollux_program\(NAME|OUTPUT_NAME) {program}\b")

    def test_a_commit_that_is_not_there_is_named(self):
        ran = subprocess.run([str(ROOT / "tools/release"), "no-such-tag"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("'no-such-tag' is no commit of this clone", ran.stderr)


if __name__ == "__main__":
    unittest.main()
