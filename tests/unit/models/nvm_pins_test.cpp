// SPDX-License-Identifier: BSD-3-Clause
// The NVM at the pins of EECD, as Linux and DPDK drive them (e1000_nvm.c).
#include "models/intel/igb/package.hpp"

#include <gtest/gtest.h>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

class CardNvmPins : public testing::Test {
 protected:
  static constexpr unsigned kWrite = 0x02, kRead = 0x03, kWriteDisable = 0x04, kReadStatus = 0x05, kWriteEnable = 0x06;
  static constexpr unsigned kAddressBit8 = 0x08, kWriteStatus = 0x01;

  void SetUp() override { set(hw::EECD::REQ | hw::EECD::CS); }
  void set(hw::EECD::Setting setting) { fixture.write<hw::EECD>(fixture.read<hw::EECD>().with(setting)); }
  void clear(hw::EECD::Setting setting) { fixture.write<hw::EECD>(fixture.read<hw::EECD>().without(setting)); }
  void shift_out(unsigned value, unsigned bits) {
    for (unsigned bit = bits; bit-- > 0;) {
      set(hw::EECD::DO);  // an output: what is written has no effect
      (value >> bit & 1) != 0 ? set(hw::EECD::DI) : clear(hw::EECD::DI);
      set(hw::EECD::SK);
      clear(hw::EECD::SK);
    }
  }
  [[nodiscard]] unsigned shift_in(unsigned bits) {
    unsigned value = 0;
    for (unsigned i = 0; i < bits; ++i) {
      set(hw::EECD::SK);
      value = value << 1 | (fixture.read<hw::EECD>().has(hw::EECD::DO) ? 1U : 0U);
      clear(hw::EECD::SK);
    }
    return value;
  }
  void begin(unsigned instruction) {
    set(hw::EECD::CS);
    clear(hw::EECD::CS);
    shift_out(instruction, 8);
  }
  void end() { set(hw::EECD::CS); }
  void execute(unsigned instruction) {
    begin(instruction);
    end();
  }
  [[nodiscard]] unsigned status() {
    begin(kReadStatus);
    const unsigned value = shift_in(8);
    end();
    return value;
  }
  void write_status(unsigned value) {
    execute(kWriteEnable);
    begin(kWriteStatus);
    shift_out(value, 8);
    end();
    fixture.pass(NvmPins::kWriteTime);
  }
  /// The word as the pins deliver it: low byte first.
  [[nodiscard]] unsigned read_word(unsigned number) {
    begin(kRead | (number >= 128 ? kAddressBit8 : 0));
    shift_out(number * 2 & 0xFF, 8);
    const unsigned value = shift_in(16);
    end();
    return value >> 8 | (value & 0xFF) << 8;
  }
  void write_words(unsigned number, std::initializer_list<unsigned> words) {
    begin(kWrite | (number >= 128 ? kAddressBit8 : 0));
    shift_out(number * 2 & 0xFF, 8);
    for (const unsigned word : words) shift_out(word >> 8 | (word & 0xFF) << 8, 16);
    end();
  }

  CardFixture fixture;
};

TEST_F(CardNvmPins, ReadEveryWord) {
  fixture.card.nvm().words()[200] = 0x1234;
  for (unsigned word = 0; word < 256; ++word) {
    EXPECT_EQ(read_word(word), fixture.card.nvm().words()[word]) << word;
  }
}

TEST_F(CardNvmPins, ReadOnAcrossWords) {
  begin(kRead);
  shift_out(0, 8);
  std::array<unsigned, 3> words{};
  for (unsigned& word : words) word = shift_in(16);
  EXPECT_EQ(words, (std::array<unsigned, 3>{0x0200, 0x0082, 0x5760})) << "the bytes of the address, in order";
}

TEST_F(CardNvmPins, WriteWithinAPage) {
  execute(kWriteEnable);
  EXPECT_EQ(status(), 2u);
  write_words(0x80, {0x1122, 0x3344, 0x5566});
  EXPECT_EQ(status() & 1, 1u) << "busy";
  fixture.pass(NvmPins::kWriteTime);
  EXPECT_EQ(status(), 0u) << "ready, and writing is disabled again";
  EXPECT_EQ(read_word(0x80), 0x1122u);
  EXPECT_EQ(read_word(0x81), 0x3344u);
  EXPECT_EQ(read_word(0x82), 0x5566u);
  EXPECT_EQ(fixture.card.nvm().words()[0x83], 0xFFFF);
  fixture.write<hw::EERD>(hw::EERD::START | hw::EERD::ADDR(0x81));
  fixture.pass(std::chrono::milliseconds(1));
  EXPECT_EQ(fixture.read<hw::EERD>().get(hw::EERD::DATA), 0x3344u);
}

TEST_F(CardNvmPins, WrapInThePage) {
  execute(kWriteEnable);
  write_words(0x87, {0xAAAA, 0xBBBB});
  fixture.pass(NvmPins::kWriteTime);
  EXPECT_EQ(read_word(0x87), 0xAAAAu);
  EXPECT_EQ(read_word(0x84), 0xBBBBu);
  EXPECT_EQ(read_word(0x88), 0xFFFFu);
}

TEST_F(CardNvmPins, WriteNothingUnlessEnabled) {
  write_words(0x80, {0x1122});
  EXPECT_EQ(status(), 0u);
  execute(kWriteEnable);
  execute(kWriteDisable);
  write_words(0x80, {0x1122});
  EXPECT_EQ(read_word(0x80), 0xFFFFu);
  execute(kWriteEnable);
  begin(kWrite | kAddressBit8);
  shift_out(0, 8);
  shift_out(0x12, 7);  // ends within a byte
  end();
  EXPECT_EQ(read_word(0x80), 0xFFFFu);
  clear(hw::EECD::REQ);
  EXPECT_FALSE(fixture.read<hw::EECD>().has(hw::EECD::GNT));
  write_words(0x80, {0x1122});
  set(hw::EECD::REQ | hw::EECD::CS);
  EXPECT_EQ(read_word(0x80), 0xFFFFu) << "without a grant the pins are not connected";
}

TEST_F(CardNvmPins, AnswerOnlyTheStatusWhileBusy) {
  execute(kWriteEnable);
  write_words(0, {0x1122});
  execute(kWriteEnable);
  write_words(1, {0x3344});
  EXPECT_EQ(read_word(0), 0u);
  fixture.pass(NvmPins::kWriteTime);
  EXPECT_EQ(read_word(0), 0x1122u);
  EXPECT_NE(read_word(1), 0x3344u);
}

TEST_F(CardNvmPins, ProtectedPagesKeepTheirWords) {
  write_status(0xFF);
  EXPECT_EQ(status(), 0x0Cu) << "only the protection bits are stored";
  write_status(0x04);
  for (const auto& [word, protects] : {std::pair{0xBFu, false}, {0xC0u, true}, {0xFFu, true}}) {
    execute(kWriteEnable);
    write_words(word, {0x1122});
    fixture.pass(NvmPins::kWriteTime);
    EXPECT_EQ(read_word(word), protects ? 0xFFFFu : 0x1122u) << word;
  }
  write_status(0x08);
  execute(kWriteEnable);
  write_words(0x80, {0x3344});
  fixture.pass(NvmPins::kWriteTime);
  EXPECT_EQ(read_word(0x80), 0xFFFFu);
  fixture.card.reset();
  fixture.pass(std::chrono::milliseconds(2));
  set(hw::EECD::REQ | hw::EECD::CS);
  EXPECT_EQ(status(), 0x08u) << "a reset does not end the protection";
  begin(kWriteStatus);
  shift_out(0, 8);
  end();
  EXPECT_EQ(status(), 0x08u) << "not enabled";
}

TEST(CardNvmWords, AdvertisePauseFrames) {
  CardFixture fixture;
  EXPECT_EQ(fixture.card.nvm().words()[hw::nvm::kInitControl2] & 0x3000, 0x3000);
  EXPECT_TRUE(hw::nvm::checksum_holds(fixture.card.nvm().words().first<hw::nvm::kSummedWords>()));
}

}  // namespace
}  // namespace pollux::models::igb
