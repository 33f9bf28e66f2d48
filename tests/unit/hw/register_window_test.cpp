// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "hw/intel/igb/registers.hpp"

namespace pollux::hw::igb {
namespace {

/// Records each access in order. A read returns what was written.
class Card final : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t offset) noexcept override {
    log.push_back("read " + std::to_string(offset));
    return words[offset / 4];
  }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override {
    log.push_back("write " + std::to_string(offset));
    words[offset / 4] = value;
  }
  void flush() noexcept override { log.push_back("flush"); }

  std::vector<std::string> log;
  std::vector<std::uint32_t> words = std::vector<std::uint32_t>(0x20000 / 4);
};

class RegisterWindowTest : public testing::Test {
 protected:
  Card card;
  Registers regs{Bar(card, 0x20000)};
};

TEST_F(RegisterWindowTest, WritesAndReadsAtTheRegistersOffset) {
  regs.write<RXDCTL>(5, RXDCTL::ENABLE | RXDCTL::WTHRESH(4));
  EXPECT_EQ(card.words[0xC168 / 4], 0x02040000u);
  EXPECT_TRUE(regs.read<RXDCTL>(5).has(RXDCTL::ENABLE));
  EXPECT_FALSE(regs.read<RXDCTL>(4).has(RXDCTL::ENABLE));
}

TEST_F(RegisterWindowTest, ModifiesOnlyTheGivenFields) {
  card.words[0] = 0x88000841;
  regs.modify<CTRL>(CTRL::SLU | CTRL::SPEED(2));
  EXPECT_EQ(card.words[0], 0x88000A41u);
  regs.clear<CTRL>(CTRL::FRCSPD);
  EXPECT_EQ(card.words[0], 0x88000241u);
  card.words[TXDCTL::offset(2) / 4] = 0x00010000;
  regs.modify<TXDCTL>(2, TXDCTL::ENABLE);
  EXPECT_EQ(card.words[TXDCTL::offset(2) / 4], 0x02010000u);
  regs.clear<TXDCTL>(2, TXDCTL::ENABLE);
  EXPECT_EQ(card.words[TXDCTL::offset(2) / 4], 0x00010000u);
}

TEST_F(RegisterWindowTest, ReadsAndClearsWithOneRead) {
  card.words[0xC0 / 4] = 0x4;
  EXPECT_TRUE(regs.read_and_clear<ICR>().has(ICR::LSC));
  card.words[0xC070 / 4] = 7;
  EXPECT_EQ(regs.read_and_clear<RQDPC>(1).get(RQDPC::COUNT), 7u);
  EXPECT_EQ(card.log, (std::vector<std::string>{"read 192", "read 49264"}));
}

TEST_F(RegisterWindowTest, AccessesNothingBeyondAnArray) {
  regs.write<RXDCTL>(16, RXDCTL::ENABLE);
  regs.modify<RXDCTL>(16, RXDCTL::ENABLE);
  regs.clear<RXDCTL>(16, RXDCTL::ENABLE);
  EXPECT_TRUE(regs.read<RXDCTL>(16).all_ones());
  EXPECT_TRUE(regs.read_and_clear<RQDPC>(99).all_ones());
  EXPECT_TRUE(card.log.empty());
}

TEST_F(RegisterWindowTest, FlushSendsPostedWritesAndThenReadsStatus) {
  regs.write<CTRL>(CTRL::SLU);
  regs.flush();
  EXPECT_EQ(card.log, (std::vector<std::string>{"write 0", "flush", "read 8"}));
}

TEST_F(RegisterWindowTest, DetectsARemovedCard) {
  EXPECT_FALSE(regs.removed());
  card.words[8 / 4] = 0xFFFFFFFF;
  EXPECT_TRUE(regs.removed());
}

TEST_F(RegisterWindowTest, DoorbellRingsTheQueuesTail) {
  regs.doorbell<TDT>(3).ring(17);
  EXPECT_EQ(card.words[0xE0D8 / 4], 17u);
}

TEST(RegisterWindow, HasADoorbellForEachTailOnly) {
  std::vector<std::uint8_t> memory(0x20000);
  const Registers regs(Bar(memory.data(), memory.size()));
  for (std::uint32_t queue = 0; queue < TDT::kCount; ++queue) {
    ASSERT_TRUE(regs.doorbell<TDT>(queue).is_mapped()) << queue;
    regs.doorbell<TDT>(queue).ring(queue + 1);
    EXPECT_EQ(memory[TDT::offset(queue)], queue + 1);
  }
  EXPECT_FALSE(regs.doorbell<TDT>(TDT::kCount).is_mapped());
}

TEST(RegisterWindow, WorksOnMappedMemory) {
  alignas(4) std::array<std::uint8_t, 0x400> memory{};
  const Registers regs(Bar(memory.data(), memory.size()));
  regs.write<RCTL>(RCTL::RXEN | RCTL::LPE);
  EXPECT_EQ(memory[0x100], 0x22);
  EXPECT_TRUE(regs.read<RCTL>().has(RCTL::RXEN));
  regs.flush();
  EXPECT_FALSE(regs.removed());
}

}  // namespace
}  // namespace pollux::hw::igb
