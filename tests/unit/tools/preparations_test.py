# SPDX-License-Identifier: BSD-3-Clause
"""Failures of the tools before their work begins: a clear message, a status, and tools/test's last line."""

import os
import pathlib
import pwd
import shlex
import signal
import subprocess
import unittest
import unittest.mock

from pollux_lab.commands import Command
from pollux_lab.guest import cache_directory
from sandbox import ROOT, Sandbox, await_file, end_all_of, last_line

ONE_FAILED = "0 passed, 1 failed, 0 skipped"
NOTHING_INSTALLED = "exit 1"
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)"


class Rights(unittest.TestCase):
    def test_without_sudo_the_reason_and_the_hint_are_printed(self):
        with Sandbox(ordinary=True) as sandbox:
            sandbox.fake("dpkg-query", NOTHING_INSTALLED)
            for tool in ("tools/test", "tools/demo", "tools/bench"):
                outcome = sandbox.run(tool)
                self.assertEqual(outcome.returncode, 1, outcome)
                self.assertIn("sudo is not installed", outcome.stderr)
                self.assertRegex(outcome.stderr, "what to do: .*apt-get install .*cmake")
                self.assertEqual(last_line(outcome), ONE_FAILED if tool == "tools/test" else "")

    def test_messages_of_sudo_are_visible(self):
        with Sandbox(ordinary=True) as sandbox:
            sandbox.fake("dpkg-query", NOTHING_INSTALLED)
            sandbox.fake("sudo", "echo 'nobody is not in the sudoers file' >&2; exit 1")
            outcome = sandbox.run("tools/test")
            self.assertIn("not in the sudoers file", outcome.stderr)
            self.assertIn("what to do: run this as root", outcome.stderr)
            self.assertEqual((outcome.returncode, last_line(outcome)), (1, ONE_FAILED))


class AptsLock(unittest.TestCase):
    def outcome_of(self, script: str, seconds: int) -> subprocess.CompletedProcess:
        with Sandbox() as sandbox:
            sandbox.fake("sudo", "[[ $1 != -n ]] || shift; \"$@\"")
            sandbox.fake("apt-get", script.replace("COUNT", str(sandbox.folder / "count")))
            return sandbox.shell("refresh_apt; echo went on", POLLUX_APT_LOCK_SECONDS=str(seconds))

    def test_apt_waits_for_the_lock(self):
        outcome = self.outcome_of(f"echo x >>COUNT; (($(wc -l <COUNT) > 2)) || {{ echo '{LOCKED}'; exit 100; }}", 60)
        self.assertEqual((outcome.returncode, outcome.stdout), (0, "went on\n"), outcome)
        self.assertEqual(outcome.stderr.count("waiting"), 1)

    def test_the_wait_is_bounded(self):
        outcome = self.outcome_of(f"echo '{LOCKED}'; exit 100", 1)
        self.assertEqual((outcome.returncode, outcome.stdout), (1, ""))
        self.assertIn("held by process 4711", outcome.stderr)
        self.assertIn("another package manager is running", outcome.stderr)

    def test_apt_does_not_wait_after_another_error(self):
        outcome = self.outcome_of("echo 'E: Unable to locate package x'; echo x >>COUNT; exit 100", 60)
        self.assertEqual(outcome.returncode, 1)
        self.assertNotIn("waiting", outcome.stderr)


class OneAtATime(unittest.TestCase):
    def test_a_second_run_names_the_first(self):
        with Sandbox() as sandbox:
            sandbox.fake_that_stays("dpkg-query")
            first = sandbox._start(["tools/test"], {})
            try:
                await_file(sandbox.folder / "begun", first)
                second = sandbox.run("tools/test")
                self.assertEqual((second.returncode, last_line(second)), (1, ONE_FAILED))
                self.assertIn(f"runs in this checkout already (process {first.pid})", second.stderr)
                self.assertIn("what to do: wait", second.stderr)
            finally:
                end_all_of(first)
                first.communicate()
            sandbox.fake("dpkg-query", "exit 1")
            sandbox.fake("apt-get", "echo E: from apt; exit 1")
            sandbox.fake("sudo", "[[ $1 != -n ]] || shift; \"$@\"")
            self.assertIn("E: from apt", sandbox.run("tools/test").stderr, "the lock ends with the process that held it")


    def test_after_a_kill_the_processes_that_are_left_are_named(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "printf installed")
            sandbox.fake("cmake", "cd ~; echo $$ >left.new; mv left.new left; exec sleep 60")
            first = sandbox._start(["tools/demo", "--on", "sim"], {})
            try:
                await_file(sandbox.folder / "left", first)
                os.kill(first.pid, signal.SIGKILL)
                first.wait()
                second = sandbox.run("tools/demo", "--on", "sim")
                left = (sandbox.folder / "left").read_text().strip()
                self.assertRegex(second.stderr, rf"process {first.pid} was killed, but not what it had started:( \d+)* {left}\b")
            finally:
                end_all_of(first)
                first.communicate()


class Interrupted(unittest.TestCase):
    def test_the_preparations_of_the_tests_end_with_the_count(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", NOTHING_INSTALLED)
            sandbox.fake("sudo", "[[ $1 != -n ]] || shift; \"$@\"")
            sandbox.fake_that_stays("apt-get")
            outcome = sandbox.interrupted("tools/test", once="begun")
            self.assertEqual((outcome.returncode, last_line(outcome)), (130, ONE_FAILED), outcome)
            self.assertIn("interrupted", outcome.stderr)
            self.assertNotIn("failed", outcome.stderr)
            self.assertEqual(list(sandbox.temporary.iterdir()), [])

    def test_an_interrupted_build_of_the_demo_is_not_called_a_failure(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "printf installed")
            sandbox.fake_that_stays("cmake")
            outcome = sandbox.interrupted("tools/demo", "--on", "sim", once="begun")
            self.assertEqual(outcome.returncode, 130, outcome)
            self.assertNotIn("failed", outcome.stderr)

    def test_children_of_a_step_may_clean_up(self):
        with Sandbox() as sandbox:
            sandbox.fake("slow", f"trap \"sleep 0.3; touch '{sandbox.folder}/ended'; exit\" TERM\ntouch '{sandbox.folder}/begun'\n"
                          "while :; do sleep 0.05; done")
            step = Command(["bash", "-c", f"'{sandbox.bin}/slow' & wait"])
            await_file(sandbox.folder / "begun", step._process)
            step.end()
            self.assertTrue((sandbox.folder / "ended").exists())


class Surroundings(unittest.TestCase):
    """What is set in a user's shell, or lies in the current folder."""

    def test_cd_may_search_other_folders(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run(str(sandbox.bin / "bash"), "-c", f"cd '{sandbox.root}' && tools/test --list", CDPATH=".")
            self.assertEqual(outcome.returncode, 0, outcome)

    def test_a_tool_may_be_called_by_a_link(self):
        with Sandbox() as sandbox:
            (sandbox.bin / "pollux-test").symlink_to(sandbox.root / "tools/test")
            self.assertIn("build.release", sandbox.run(str(sandbox.bin / "pollux-test"), "--list").stdout)

    def test_no_python_module_is_taken_from_the_current_folder(self):
        with Sandbox() as sandbox:
            (sandbox.folder / "shutil.py").write_text("raise SystemExit('not the library')\n")
            outcome = sandbox.run("tools/test", "--list")
            self.assertEqual(outcome.returncode, 0, outcome)

    def test_another_python_may_have_a_home(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/test", "--list", PYTHONHOME="/nonexistent")
            self.assertEqual(outcome.returncode, 0, outcome)

    def test_a_shell_may_export_its_options(self):
        with Sandbox() as sandbox:
            outcome = sandbox.shell("lock_checkout test; env", SHELLOPTS="noclobber:noglob")
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            self.assertNotIn("SHELLOPTS", outcome.stdout)

    def test_a_hook_of_git_may_call_a_tool(self):
        with Sandbox() as sandbox:
            outcome = sandbox.shell("git init --quiet \"$POLLUX_ROOT\"", GIT_DIR=str(sandbox.folder / "of the hook"))
            self.assertTrue((sandbox.root / ".git").is_dir(), outcome)

    def test_a_test_may_be_run_by_a_hook_of_git(self):
        with Sandbox() as sandbox:
            script = sandbox.folder / "environment_test.py"
            script.write_text("import os\nprint(os.environ.get('GIT_DIR'))\n")
            outcome = sandbox.run("/usr/bin/python3", "-m", "pollux_lab.run_unittest", str(script), GIT_DIR="/nonexistent",
                                  PYTHONPATH=str(sandbox.root / "tools/lib"))
            self.assertEqual(outcome.stdout, "None\n", outcome)


class Folders(unittest.TestCase):
    def test_a_read_only_checkout_is_reported(self):
        for tool in ("tools/test", "tools/demo", "tools/bench"):
            with Sandbox(ordinary=True) as sandbox:
                sandbox.root.chmod(0o555)
                outcome = sandbox.run(tool)
                self.assertEqual(outcome.returncode, 1)
                self.assertRegex(outcome.stderr, "build cannot be written to: Permission denied\n.*what to do: .*git clone")
                self.assertEqual(last_line(outcome), ONE_FAILED if tool == "tools/test" else "")

    def test_a_build_folder_that_cmake_refuses_may_be_removed(self):
        for words in (["tools/test", "--only", "build.release"], ["tools/demo", "--on", "sim"]):
            with Sandbox() as sandbox:
                sandbox.fake("dpkg-query", "printf installed")
                sandbox.fake("cmake", "exit 1")
                outcome = sandbox.run(*words)
                self.assertEqual(outcome.returncode, 1)
                self.assertRegex(outcome.stderr, "what to do: read .*build/(release|demo) was made by a checkout in another place")

    def test_a_missing_temporary_folder_is_reported(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/test", TMPDIR=str(sandbox.folder / "none"))
            self.assertEqual((outcome.returncode, last_line(outcome)), (1, ONE_FAILED))
            self.assertRegex(outcome.stderr, "none: No such file or directory\n.*what to do: .*TMPDIR")

    def test_without_HOME_the_cache_is_in_the_home_of_the_password_file(self):
        home = pwd.getpwuid(os.getuid()).pw_dir
        with Sandbox() as sandbox:
            for unset in (None, ""):
                self.assertEqual(sandbox.shell("cache_dir", HOME=unset).stdout, f"{home}/.cache/pollux")
            self.assertEqual(sandbox.shell("cache_dir", HOME="/a home").stdout, "/a home/.cache/pollux")
        with unittest.mock.patch.dict(os.environ):
            for name in ("HOME", "XDG_CACHE_HOME", "POLLUX_CACHE"):
                os.environ.pop(name, None)
            self.assertEqual(str(cache_directory()), f"{home}/.cache/pollux")

    def test_root_uses_no_cache_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a directory of another user")
        own = pathlib.Path(pwd.getpwuid(0).pw_dir, ".cache/pollux")
        with Sandbox() as sandbox:
            home = sandbox.root / "home of another"
            home.mkdir()
            for owner, expected in ((0, home / ".cache/pollux"), (65534, own)):
                os.chown(home, owner, owner)
                self.assertEqual(sandbox.shell("cache_dir", HOME=str(home)).stdout, str(expected))
                with unittest.mock.patch.dict(os.environ, {"HOME": str(home)}):
                    os.environ.pop("XDG_CACHE_HOME", None), os.environ.pop("POLLUX_CACHE", None)
                    self.assertEqual(cache_directory(), expected)
            (home / ".cache").mkdir()
            self.assertEqual(sandbox.shell("cache_dir", HOME=str(home)).stdout, str(home / ".cache/pollux"))
            self.assertEqual(sandbox.shell("cache_dir", HOME=str(home), POLLUX_CACHE="/named").stdout, "/named")

    def test_a_cache_that_is_not_writable_is_reported(self):
        with Sandbox() as sandbox:
            (sandbox.folder / "file").write_text("")
            for kernel in ("guest_kernel", "test_kernel"):
                outcome = sandbox.shell(f"kernel=$({kernel}); echo went on", POLLUX_CACHE=str(sandbox.folder / "file"))
                self.assertEqual((outcome.returncode, outcome.stdout), (1, ""))
                self.assertRegex(outcome.stderr, "cannot be written to: .*\n.*what to do: set POLLUX_CACHE")

    def test_a_compiler_cache_that_is_not_writable_is_left_out(self):
        with Sandbox(name="a checkout") as sandbox:
            script = sandbox.root / "script.cmake"
            script.write_text(f"set(POLLUX_COMPILER_CACHE ON)\nset(PROJECT_BINARY_DIR .)\nset(CMAKE_CXX_COMPILER /usr/bin/c++)\n"
                              f"include({ROOT}/cmake/PolluxCompilerCache.cmake)\nmessage(\"with ${{CMAKE_CXX_COMPILER_LAUNCHER}}\")\n")
            sandbox.fake("ccache", "true")
            self.assertIn("bin/ccache", sandbox.run("/usr/bin/cmake", "-P", str(script)).stderr)
            sandbox.fake("ccache", "echo Permission denied >&2; exit 1")
            outcome = sandbox.run("/usr/bin/cmake", "-P", str(script))
            self.assertEqual(outcome.returncode, 0)
            self.assertRegex(outcome.stderr, "(?s)Permission denied.*CCACHE_DIR.*with \n")

    def test_a_kernel_is_marked_complete_only_with_all_its_files(self):
        script = """work=$HOME/work; mkdir "$work"; touch "$work/one.deb"
          kernel=$(unpack_kernel "$work" 6.1); status=$?; ls "$work/tree/complete" && echo it counts as complete; exit $status"""
        for depmod in ("exit 1", ": >$2/lib/modules/6.1/modules.dep.bin", "echo x >$2/lib/modules/6.1/modules.dep.bin"):
            with self.subTest(depmod), Sandbox() as sandbox:
                sandbox.fake("dpkg-deb", 'mkdir -p "$3"/boot "$3"/lib/modules/6.1; touch "$3"/boot/vmlinuz-6.1')
                sandbox.fake("depmod", depmod)
                outcome = sandbox.shell("set +e; " + script)
                if "echo x" in depmod:
                    self.assertEqual((outcome.returncode, "counts as complete" in outcome.stdout), (0, True), outcome)
                else:
                    self.assertEqual((outcome.returncode, outcome.stdout), (1, ""), outcome)
                    self.assertRegex(outcome.stderr, "the kernel cannot be unpacked to .*\n.*what to do:")

    def test_the_kernel_is_not_built_in_a_path_with_a_space(self):
        with Sandbox(name="a checkout") as sandbox:
            sandbox.fake("make", """[[ $2 != *" "* && $3 != *" "* ]] || exit 1; printf '%s\\n' "$@" >>"$HOME/made" """)
            script = """work=$(kernel_work_folder "$HOME/a cache"); trap 'rm -rf "$work"' EXIT
              mkdir -p "$work/source/drivers/iommu/iommufd"; echo 'iommufd-y := device.o' >"$work/source/drivers/iommu/iommufd/Makefile"
              compile_vfio "$work" 6.12; cat "$work/source/drivers/iommu/iommufd/Makefile"; grep NOIOMMU "$HOME/made" """
            outcome = sandbox.shell(script)
            self.assertEqual((outcome.returncode, outcome.stdout), (0, "iommufd-y := spans.o device.o\nCONFIG_VFIO_NOIOMMU=y\n"
                             "KCFLAGS=-g0 -DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_VFIO_DEVICE_CDEV=1 -DCONFIG_VFIO_NOIOMMU=1\n"), outcome)

    def test_modules_that_are_added_to_a_kernel_are_a_part_of_it(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-deb", 'mkdir -p "$3"/boot "$3"/lib/modules/6.1; touch "$3"/boot/vmlinuz-6.1')
            sandbox.fake("depmod", 'ls "$2"/lib/modules/6.1/updates; echo x >"$2/lib/modules/6.1/modules.dep.bin"')
            outcome = sandbox.shell("""work=$HOME/work; mkdir -p "$work" "$HOME/own/a"; touch "$work/one.deb" "$HOME/own/a/vfio.ko"
              unpack_kernel "$work" 6.1 "$HOME/own" """)
            self.assertEqual((outcome.returncode, outcome.stdout), (0, "vfio.ko\n"), outcome)

    def test_pkg_config_quotes_a_prefix_with_a_space(self):
        with Sandbox() as sandbox:
            folder = sandbox.folder / "a prefix/lib/pkgconfig"
            folder.mkdir(parents=True)
            text = (ROOT / "cmake/pollux.pc.in").read_text()
            for name, value in (("POLLUX_PC_PREFIX", "../.."), ("POLLUX_PC_LIBDIR", "lib"), ("POLLUX_PC_INCLUDEDIR", "include"),
                                ("PC_CXX_FLAGS", "")):
                text = text.replace(f"@{name}@", value)
            text = "\n".join(line for line in text.splitlines() if not line.startswith("Requires"))
            (folder / "pollux.pc").write_text(text)
            shown = subprocess.run(["pkg-config", "--cflags", "--libs", "pollux"], capture_output=True, text=True, check=True,
                                   env=os.environ | {"PKG_CONFIG_PATH": str(folder)}).stdout
            self.assertIn(f"-I{folder}/../../include", shlex.split(shown))
            self.assertIn(f"-L{folder}/../../lib", shlex.split(shown))


class FullDisk(unittest.TestCase):
    def on_a_full_disk(self, sandbox: Sandbox, folder: pathlib.Path, *words: str) -> subprocess.CompletedProcess:
        folder.mkdir(exist_ok=True)
        script = (f"mount -t tmpfs -o size=1m none '{folder}' && {{ head -c 2M /dev/zero >'{folder}/filler'; exec \"$@\"; }}")
        return sandbox.run("/usr/bin/unshare", "--mount", "--map-root-user", "/bin/bash", "-c", script + " 2>&1", "bash", *words,
                            PATH=sandbox.environment["PATH"] + ":/usr/bin:/bin:/usr/sbin")

    def setUp(self):
        if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode:
            self.skipTest("this kernel does not allow mounting a small disk in a user namespace")

    def test_a_full_temporary_folder_is_reported(self):
        with Sandbox() as sandbox:
            outcome = self.on_a_full_disk(sandbox, sandbox.temporary, str(sandbox.root / "tools/test"))
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertRegex(outcome.stdout, "No space left on device\n.*what to do: free some space")
            self.assertIn(ONE_FAILED, outcome.stdout)

    def test_a_full_build_folder_is_reported(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "printf installed")
            (sandbox.root / "build").mkdir()
            outcome = self.on_a_full_disk(sandbox, sandbox.root / "build/demo", str(sandbox.root / "tools/demo"), "--on", "sim")
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertRegex(outcome.stdout, "what to do: the disk that holds .*/build/demo is full")

    def test_tools_test_reports_a_full_disk_and_counts(self):
        run_all = ["/usr/bin/env", f"PYTHONPATH={ROOT}/tools/lib", "/usr/bin/python3", "-m", "pollux_lab.run_all"]
        with Sandbox() as sandbox:
            sandbox.fake("cmake", "exit 1")
            outcome = self.on_a_full_disk(sandbox, sandbox.root / "build", *run_all, "--root", str(sandbox.root))
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertRegex(outcome.stdout, "No space left on device.*\n  what to do: the disk that holds .*/build is full")
            self.assertRegex(last_line(outcome), r"^0 passed, [1-9]\d* failed, \d+ skipped$")


class OtherSystems(unittest.TestCase):
    ALPINE = 'ID=alpine\nVERSION_ID="3.22"\n'

    def built_there(self, os_release: str, *words: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs tools/demo up to the build, with all commands that it needs but without apt."""
        with Sandbox() as sandbox:
            sandbox.set_os_release(os_release)
            for command in ("c++", "ninja", "pkg-config"):
                sandbox.fake(command, "true")
            sandbox.fake("cmake", "echo building began; exit 1")
            return sandbox.run("tools/demo", *words, **environment)

    def test_the_demo_runs_on_an_unknown_distribution(self):
        for os_release in (self.ALPINE, ""):
            outcome = self.built_there(os_release, "--on", "sim")
            self.assertIn("building began", outcome.stderr)
            self.assertNotIn("LEFT OUT", outcome.stderr)
        self.assertIn("LEFT OUT: the guest", self.built_there(self.ALPINE).stderr)

    def test_on_arm_only_the_guest_is_refused(self):
        self.assertIn("the guest needs an x86_64 machine; this is aarch64",
                      self.on_arm("--on", "guest").stderr)
        for words in (["--on", "sim"], []):
            self.assertIn("building began", self.on_arm(*words).stderr)

    def on_arm(self, *words: str) -> subprocess.CompletedProcess:
        with Sandbox() as sandbox:
            # Other x86 packages than QEMU are missing, so the demo must ask only for packages that Arm has.
            sandbox.fake("dpkg-query", "[[ $4 == *x86* && $4 != qemu-system-x86 ]] || printf installed")
            sandbox.fake("qemu-system-x86_64", "echo 'name \"igb\"'")
            sandbox.fake("cmake", "echo building began; exit 1")
            return sandbox.run("tools/demo", *words, POLLUX_UNAME="aarch64")

    def test_missing_commands_are_named_with_debians_packages(self):
        with Sandbox() as sandbox:
            sandbox.set_os_release(self.ALPINE)
            outcome = sandbox.run("tools/demo", "--on", "sim")
            self.assertEqual(outcome.returncode, 1)
            self.assertRegex(outcome.stderr, "alpine 3.22 is not known.* c\\+\\+ cmake ninja pkg-config\n.*libcli11-dev")

    def test_tools_test_says_what_it_needs(self):
        with Sandbox() as sandbox:
            self.assertIn("this is aarch64", sandbox.run("tools/test", POLLUX_UNAME="aarch64").stderr)
            sandbox.set_os_release(self.ALPINE)
            outcome = sandbox.run("tools/test")
            self.assertIn("this is alpine 3.22", outcome.stderr)
            self.assertEqual((outcome.returncode, last_line(outcome)), (1, ONE_FAILED))

    def test_help_says_what_stays_behind_and_what_was_not_tried(self):
        with Sandbox() as sandbox:
            for tool in ("tools/test", "tools/demo", "tools/bench", "tools/check"):
                outcome = sandbox.run(tool, "--help")
                self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
                self.assertRegex(outcome.stdout, "(?i)stays\nbehind|stays behind")
                self.assertRegex(outcome.stdout, "not tried|not on")


if __name__ == "__main__":
    unittest.main()
