// SPDX-License-Identifier: BSD-3-Clause
// Compares the library's parser with that of the in-process card.
#include "support/card_view.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "pollux/net/packet/parse.hpp"
#include "support/flows.hpp"
#include "support/routed_frames.hpp"
#include "support/various_frames.hpp"

namespace pollux::packet {
namespace {

using Octets = std::vector<std::uint8_t>;

std::vector<Octets> seeds() {
  std::vector<Octets> frames;
  for (const test::NamedFrame& frame : test::various_frames()) frames.push_back(frame.bytes);
  for (const test::RoutedFrame& frame : test::routed_frames()) frames.push_back(frame.bytes);
  for (const auto& known : {test::known_frames(), test::known_sctp_frames()}) {
    for (const test::KnownFrame& frame : known) {
      Octets& bytes = frames.emplace_back(frame.bytes.size());
      std::memcpy(bytes.data(), frame.bytes.data(), bytes.size());
    }
  }
  return frames;
}

TEST(CardView, AgreesOnBuiltFrames) {
  for (const Octets& frame : seeds()) EXPECT_EQ(test::disagreement(frame), "");
}

// Frames with changed header bytes, mostly to valid values, and truncated frames.
TEST(CardView, AgreesOnCorruptedFrames) {
  constexpr std::uint8_t kMeaningful[] = {0,   1,    4,    6,    8,    17,   43,   44,   58,  60,
                                          132, 0x45, 0x46, 0x4F, 0x60, 0x81, 0x86, 0xDD, 0xFF};
  const auto frames = seeds();
  std::mt19937 random(6);
  std::size_t types_with_l4 = 0;
  for (int round = 0; round < 60'000; ++round) {
    Octets frame = frames[random() % frames.size()];
    for (auto changes = random() % 4; changes != 0; --changes) {
      const std::size_t at = 12 + random() % 70;
      if (at >= frame.size()) continue;
      frame[at] = random() % 4 == 0 ? static_cast<std::uint8_t>(random()) : kMeaningful[random() % sizeof kMeaningful];
    }
    if (random() % 4 == 0) frame.resize(random() % (frame.size() + 1));
    frame.shrink_to_fit();  // so that a sanitizer detects each read beyond the end
    ASSERT_EQ(test::disagreement(frame), "") << testing::PrintToString(frame);
    if ((parse(frame).type.bits >> 4) != 0) ++types_with_l4;
  }
  EXPECT_GT(types_with_l4, 10'000U) << "too little of layer 4 was compared";
}

}  // namespace
}  // namespace pollux::packet
