// SPDX-License-Identifier: BSD-3-Clause
// What came with a frame that passed QEMU's card and the driver, on each burst path.
#include <algorithm>

#include "qemu/bench.hpp"
#include "support/burst_paths.hpp"
#include "support/flows.hpp"

namespace pollux {
namespace {

using test::Bench;
using test::KnownFrame;
using test::QemuPort;

class Metadata : public testing::TestWithParam<BurstPath> {};

/// Finds each of `frames` in what arrives on `port`, and compares what came with it.
void expect_all(Bench& bench, Port& port, std::vector<KnownFrame> frames) {
  DropCounter seen("seen");
  EXPECT_TRUE(test::eventually([&] {
    for (std::uint16_t queue = 0; queue < bench.config.rx_queues; ++queue) {
      Burst<64> burst;
      port.rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) {
        const auto found = std::find_if(frames.begin(), frames.end(),
                                        [&](const KnownFrame& frame) { return test::holds(mbuf, frame); });
        EXPECT_NE(found, frames.end()) << "a frame that was not sent";
        if (found == frames.end()) continue;
        EXPECT_EQ(queue, found->hash.value_or(0) % 128 % bench.config.rx_queues) << found->name;
        test::expect_metadata(mbuf, *found);
        frames.erase(found);
      }
      burst.drop(seen, bench.cache);
    }
    return frames.empty();
  })) << frames.size()
      << " frames did not arrive, " << (frames.empty() ? "" : frames[0].name) << " among them";
}

TEST_P(Metadata, IsWhatTheCardSaid) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  Bench bench;
  bench.config.burst_path = GetParam();
  QemuPort left = bench.start("0");
  bench.config.rx_queues = 4;
  QemuPort right = bench.start("1");
  ASSERT_TRUE(Bench::link_rises(left.port));
  ASSERT_TRUE(Bench::link_rises(right.port));
  std::vector<KnownFrame> frames = test::known_frames();
  const std::vector<KnownFrame> sctp = test::known_sctp_frames();  // QEMU checks SCTP unasked
  frames.insert(frames.end(), sctp.begin(), sctp.end());
  std::vector<test::Frame> bytes;
  for (const KnownFrame& frame : frames) bytes.push_back(frame.bytes);
  ASSERT_EQ(bench.send(left.port, bytes), bytes.size());
  expect_all(bench, right.port, frames);
}

INSTANTIATE_TEST_SUITE_P(All, Metadata, testing::ValuesIn(test::kBurstPaths),
                         [](const auto& path) { return std::string(name(path.param)); });

}  // namespace
}  // namespace pollux
