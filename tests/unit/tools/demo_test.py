# SPDX-License-Identifier: BSD-3-Clause
"""tools/demo with fake programs: what it installs and builds, in which order, and how it ends."""

import json
import re
import unittest

from sandbox import Sandbox, await_file, end_all_of, processes_in

SUMMARY = {"received": 10, "sent": 10, "drops": {}, "in_flight": 0, "made": 0, "conserved": True, "mbufs_in_use": 0, "seconds": 1.0,
           "mpps": 1.5, "good": 10, "corrupt": 0}
# Each step writes a line into `steps`. A file is awaited for a time that is longer than any test takes.
AWAIT = 'await() { for ((i = 0; i < 2400; ++i)); do [[ ! -e $HOME/$1 ]] || return 0; sleep 0.05; done; exit 9; }'
BUILDS = r"""[[ $1 == --build ]] || { echo configure >>"$HOME/steps"; exit; }
shift 3; echo "build $*" >>"$HOME/steps"; touch "$HOME/compiling"
cp "$HOME/program" "$HOME/checkout/build/demo/l2fwd"; cp "$HOME/program" "$HOME/checkout/build/demo/pktgen" """
INSTALLS = r"""[[ " $* " == *" install "* ]] || exit 0
echo "install ${*: -1}" >>"$HOME/steps"; touch "$HOME/installing"
printf '#!/bin/bash\necho "name \\"igb\\""\n' >"$HOME/bin/qemu-system-x86_64"; chmod +x "$HOME/bin/qemu-system-x86_64" """


class DemoSandbox(Sandbox):
    """All packages are installed but QEMU."""

    def __init__(self, **options):
        super().__init__(**options)
        (self.folder / "program").write_text(f"#!/bin/bash\necho '{json.dumps({'summary': SUMMARY})}'\n")
        (self.folder / "program").chmod(0o755)
        self.fake("dpkg-query", "[[ $4 == *qemu* ]] || printf installed")
        self.fake("sudo", '[[ $1 != -n ]] || shift; "$@"')
        self.fake("cmake", BUILDS)
        self.fake("apt-get", INSTALLS)

    def steps(self) -> list[str]:
        return (self.folder / "steps").read_text().splitlines()


class Order(unittest.TestCase):
    def test_sim_needs_no_emulator_and_two_programs(self):
        with DemoSandbox() as sandbox:
            outcome = sandbox.run("tools/demo", "--on", "sim")
            self.assertEqual(outcome.returncode, 0, outcome)
            self.assertEqual(sandbox.steps(), ["configure", "build pktgen", "build l2fwd"])
            self.assertRegex(outcome.stdout, r"time: packages \d+\.\d s; pktgen .*; first .*; l2fwd .*; sim .*; together \d+ s\n$")

    def test_each_line_begins_with_the_seconds_since_the_start(self):
        with DemoSandbox() as sandbox:
            outcome = sandbox.run("tools/demo", "--on", "sim")
            self.assertRegex(outcome.stderr, r"(?m)^\[   \d s\] compiling pktgen$")
            self.assertRegex(outcome.stderr, r"(?m)^\[   \d s\] pktgen sim:0 sim:1: 10 frames .* checked")
            self.assertEqual([line for line in outcome.stderr.splitlines() if not re.match(r"\[ *\d+ s\] ", line)], [])

    def test_the_emulator_is_installed_while_the_programs_are_compiled(self):
        with DemoSandbox() as sandbox:
            sandbox.fake("apt-get", f"{AWAIT}; await compiling; {INSTALLS}")
            sandbox.fake("cmake", f"{AWAIT}; {BUILDS}; await installing")
            outcome = sandbox.run("tools/demo", "--on", "qtest")
            self.assertEqual(outcome.returncode, 0, outcome)
            self.assertEqual(sandbox.steps()[:2], ["configure", "build pktgen"])
            self.assertCountEqual(sandbox.steps()[2:], ["build l2fwd", "install qemu-system-x86"])
            self.assertRegex(outcome.stdout, "time: .*emulator .*together")

    def test_the_installation_gets_what_the_compilation_leaves_of_the_processor(self):
        with DemoSandbox() as sandbox:
            sandbox.fake("apt-get", f"chrt -p $$ >>\"$HOME/policy\"; {INSTALLS}")
            self.assertEqual(sandbox.run("tools/demo", "--on", "qtest").returncode, 0)
            self.assertIn("SCHED_IDLE", (sandbox.folder / "policy").read_text())

    def test_pollux_is_compiled_while_the_installation_lasts(self):
        with DemoSandbox() as sandbox:
            sandbox.fake("apt-get", f"{AWAIT}; await pollux; exit 1")
            sandbox.fake("cmake", BUILDS + '; [[ $* != pollux_command ]] || touch "$HOME/pollux"')
            outcome = sandbox.run("tools/demo", "--on", "guest")
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertEqual(sandbox.steps(), ["configure", "build pktgen", "build l2fwd", "build pollux_command"])

    def test_nothing_is_installed_beside_the_build_if_sudo_would_ask(self):
        with DemoSandbox(ordinary=True) as sandbox:
            sandbox.fake("sudo", '[[ $1 != -n ]] || exit 1; [[ $1 == -v ]] || "$@"')
            outcome = sandbox.run("tools/demo", "--on", "qtest")
            self.assertEqual(outcome.returncode, 0, outcome)
            self.assertEqual(sandbox.steps(), ["install qemu-system-x86", "configure", "build pktgen", "build l2fwd"])

    def test_a_job_does_not_ask_for_a_password(self):
        with Sandbox(ordinary=True) as sandbox:
            sandbox.fake("sudo", '[[ $1 == -n ]] || touch "$HOME/asked"; exit 1')
            outcome = sandbox.shell("POLLUX_JOB=yes need_root_rights 'apt-get update'")
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertIn("what to do: run this as root, or have root run: apt-get update", outcome.stderr)
            self.assertFalse((sandbox.folder / "asked").exists())


class Ends(unittest.TestCase):
    def test_a_failed_installation_ends_the_build_at_once(self):
        with DemoSandbox() as sandbox:
            sandbox.fake("apt-get", f"{AWAIT}; await begun; echo E: Unable to locate package qemu-system-x86; exit 100")
            self.stays_in_the_build(sandbox)
            self.fails(sandbox, "E: Unable to locate package.*\n.*apt-get .* failed\n.*what to do: the mirror lacks a package")

    def test_a_failed_build_ends_the_installation_at_once(self):
        with DemoSandbox() as sandbox:
            sandbox.fake_that_stays("apt-get")
            sandbox.fake("cmake", f"{AWAIT}; [[ $1 == --build ]] || exit 0; await begun; echo no memory; exit 1")
            self.fails(sandbox, "no memory\n.*cmake --build .* failed .*\n.*what to do: ")

    def test_an_interruption_ends_the_build_and_the_installation(self):
        for ordinary in (False, True):
            with self.subTest(ordinary=ordinary), DemoSandbox(ordinary=ordinary) as sandbox:
                sandbox.fake("apt-get", "touch $HOME/installing; sleep 60")
                sandbox.fake("cmake", f"{AWAIT}; [[ $1 == --build ]] || exit 0; await installing; touch $HOME/begun; sleep 60")
                outcome = sandbox.interrupted("tools/demo", "--on", "qtest", once="begun")
                self.assertEqual(outcome.returncode, 130, outcome)
                self.assertEqual(outcome.stderr.count("interrupted"), 1, outcome)
                self.assertNotIn("failed", outcome.stderr)
                self.assertEqual(list(sandbox.temporary.iterdir()), [])

    @staticmethod
    def stays_in_the_build(sandbox: Sandbox) -> None:
        sandbox.fake("cmake", "[[ $1 == --build ]] || exit 0\ntouch $HOME/begun\nsleep 60")

    def fails(self, sandbox: Sandbox, message: str) -> None:
        program = sandbox._start(["tools/demo", "--on", "qtest"], {})
        try:
            await_file(sandbox.folder / "begun", program)
            _, err = program.communicate(timeout=30)
            self.assertEqual(processes_in(program.pid), [])
        finally:
            end_all_of(program)
        self.assertEqual(program.returncode, 1, err)
        self.assertRegex(err, message)
        self.assertEqual(list(sandbox.temporary.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
