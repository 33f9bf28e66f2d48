// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_format.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "pollux/mem/context.hpp"

namespace pollux {
namespace {

using Role = RingRegister::Role;

/// A ring whose descriptors have `words` words, which the driver has armed up to `tail`.
class Rings : public testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr std::uint32_t kSlots = 8;
  static constexpr std::uint64_t kIova = 0x1'0000'0000;

  const std::uint32_t words = GetParam();
  const std::uint32_t bytes = words * 8;
  std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(std::size_t{kSlots} * words);
  MemoryMap map;
  DriverRing ring{bytes};
  std::vector<std::uint16_t> armed;

  void SetUp() override {
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = i + 1;
    ASSERT_TRUE(map.map({.address = reinterpret_cast<std::byte*>(memory.data()),
                         .iova = kIova,
                         .size = memory.size() * sizeof(std::uint64_t)}));
    ring.write(Role::base_low, static_cast<std::uint32_t>(kIova));
    ring.write(Role::base_high, static_cast<std::uint32_t>(kIova >> 32));
    ring.write(Role::length, kSlots * bytes);
    ring.move_tail(map, 4096, 3, [this](std::uint16_t slot) { armed.push_back(slot); });
  }
};

TEST_P(Rings, HaveDescriptorsOfTheSizeOfTheCard) {
  EXPECT_EQ(ring.size(), kSlots);
  EXPECT_EQ(armed, (std::vector<std::uint16_t>{0, 1, 2}));
  EXPECT_EQ(ring.armed(2).words[0], 2 * words + 1) << "the address of its buffer";
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(ring.armed(2).words.at(i), i < words ? 2 * words + 1 + i : 0) << i;
}

TEST_P(Rings, StoreAWriteBackInItsSlotAlone) {
  const auto before = memory;
  RawDescriptor done;
  for (std::uint32_t i = 0; i < 8; ++i) done.words.at(i) = 0x100 + i;
  ring.descriptors().store(1, done);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    const bool is_slot = i / words == 1;
    EXPECT_EQ(memory[i], is_slot ? 0x100 + i % words : before[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Words, Rings, testing::Values(1U, 2U, 4U, 8U));

TEST(RecordLayout, DescriptorsHaveASizeThatRecordingsHold) {
  for (const std::uint32_t bytes : {8U, 16U, 64U}) {
    const RingRegisters ring{.descriptor_bytes = bytes};
    EXPECT_TRUE(check_layout({.rings = {&ring, 1}})) << bytes;
  }
  for (const std::uint32_t bytes : {0U, 4U, 20U, 72U}) {
    const RingRegisters ring{.descriptor_bytes = bytes};
    EXPECT_EQ(check_layout({.rings = {&ring, 1}}).error().code, ErrorCode::invalid_argument) << bytes;
  }
}

}  // namespace
}  // namespace pollux
