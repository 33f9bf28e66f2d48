# SPDX-License-Identifier: BSD-3-Clause
"""`pollux vf serve` as a process: it says when it serves, ends on Ctrl-C, and names what is wrong with its arguments."""

import json
import signal
import subprocess
import sys
import unittest

POLLUX = sys.argv.pop(1) if len(sys.argv) > 1 else "pollux"


class VfServe(unittest.TestCase):
    def start(self, *words: str) -> subprocess.Popen:
        process = subprocess.Popen([POLLUX, "vf", "serve", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def interrupt(self, process: subprocess.Popen) -> str:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)  # without huge pages there is a warning
        return out

    def test_it_serves_until_it_is_interrupted(self):
        process = self.start("2", "sim:0", "--vf", "0:mac=02:00:00:00:00:01,vlan=7,rate=100", "--vf", "1:trust=on")
        said = [process.stdout.readline() for _ in range(4)]
        self.assertEqual(said, [
            "sim:0: 2 of 7 virtual functions\n",
            "function 0: 02:00:00:00:00:01, VLAN 7, at most 100 Mb/s, spoof check on, trust off, link auto\n",
            "function 1: an address of its own, spoof check on, trust on, link auto\n",
            "serving; Ctrl-C ends this\n"])
        self.assertIn("function 1: 0 requests, 0 refused; received 0 frames, sent 0\n", self.interrupt(process))

    def test_json_is_an_object_a_line(self):
        process = self.start("1", "sim:0", "--json")
        serving = json.loads(process.stdout.readline())
        self.assertEqual((serving["event"], serving["port"], len(serving["functions"])), ("serving", "sim:0", 1))
        lines = [json.loads(line) for line in self.interrupt(process).splitlines()]
        self.assertEqual(lines[-1]["summary"]["functions"][0]["driver_up"], False)

    def test_errors_name_the_fix(self):
        process = self.start("1", "sim:0", "--vf", "0:vlan=many")
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (2, ""))
        self.assertIn("vlan is 0 (none) to 4094", err)


if __name__ == "__main__":
    unittest.main()
