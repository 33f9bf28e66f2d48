# SPDX-License-Identifier: BSD-3-Clause
"""curl fetches a document from the example `tcp_server` over a wire that loses one frame in a hundred, in both directions: it takes
longer, and arrives unharmed."""

import sys
import unittest

from namespaces import enter_own_namespace
from tcp_server_fixture import ServerFixture, digest_of_document

BYTES, SERVER = int(sys.argv.pop()), sys.argv.pop()


def setUpModule():
    enter_own_namespace()


class CurlBehindALossyWire(ServerFixture):
    program = SERVER

    def test_the_document_arrives_unharmed(self):
        self.begin("sim:0?tap=plt0,loss=0.01,seed=5", "--bytes", str(BYTES))
        self.assertEqual(self.fetch(240 + BYTES // 50_000), (BYTES, digest_of_document(BYTES)))
        self.assertEqual(self.counts()["broken"], 0)


if __name__ == "__main__":
    unittest.main()
