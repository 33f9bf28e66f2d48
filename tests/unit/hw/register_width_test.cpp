// SPDX-License-Identifier: BSD-3-Clause
// Registers of 8 and 16 bits: each access has the width that the declaration says, on mapped memory and on remote
// windows.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "pollux/device/register.hpp"

namespace pollux {
namespace {

/// A part of virtio's common configuration.
struct SELECT : Register<SELECT, 0x0, Access::rw> {};
struct VECTOR : Register16<VECTOR, 0x4, Access::rw> {};
struct STATE : Register8<STATE, 0x6, Access::rw> {
  static constexpr Bit ACKNOWLEDGE{0}, DRIVER{1}, FAILED{7};
  static constexpr Field CODE{2, 5};
  POLLUX_FIELDS(ACKNOWLEDGE, DRIVER, CODE, FAILED);
};
struct CAUSE : Register8<CAUSE, 0x7, Access::rc> {};
struct SIZES : Register16<SIZES, 0x8, Access::rw, Stride{2, 4}> {};
using NarrowRegisters = RegisterWindow<SELECT>;

/// Records each access with its width. A read returns what was written.
class NarrowCard final : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t offset) noexcept override { return read_narrow(offset, 4); }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { write_narrow(offset, 4, value); }
  std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
    log.push_back("read" + std::to_string(8 * width) + " " + std::to_string(offset));
    std::uint32_t value = 0;
    for (unsigned i = width; i-- != 0;) value = value << 8 | bytes[offset + i];
    return value;
  }
  void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    log.push_back("write" + std::to_string(8 * width) + " " + std::to_string(offset));
    for (unsigned i = 0; i < width; ++i) bytes[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  void flush() noexcept override {}

  std::vector<std::string> log;
  std::array<std::uint8_t, 16> bytes{};
};

/// Supports 32-bit accesses only.
class WordCard final : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t offset) noexcept override {
    ++reads;
    return words[offset / 4];
  }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { words[offset / 4] = value; }
  void flush() noexcept override {}

  unsigned reads = 0;
  std::array<std::uint32_t, 2> words{0x44332211, 0x88776655};
};

template <class Window>
void exercise(const Window& regs) {
  regs.template write<STATE>(STATE::ACKNOWLEDGE | STATE::DRIVER);
  regs.template modify<STATE>(STATE::CODE(31));
  EXPECT_EQ(regs.template read<STATE>().raw(), 0x7Fu);
  regs.template write<VECTOR>(VECTOR::Value(0xFFFF));
  EXPECT_TRUE(regs.template read<VECTOR>().all_ones());
  EXPECT_FALSE(regs.template read<STATE>().all_ones());
  regs.template write<SIZES>(3, SIZES::Value(0x1234));
  EXPECT_EQ(regs.template read<SIZES>(3).raw(), 0x1234u);
  EXPECT_TRUE(regs.template read<SIZES>(4).all_ones()) << "beyond the array";
  static_cast<void>(regs.template read_and_clear<CAUSE>());
}

TEST(RegisterWidth, EachAccessHasTheWidthOfItsRegister) {
  NarrowCard card;
  exercise(NarrowRegisters(Bar(card, 16)));
  EXPECT_EQ(card.log, (std::vector<std::string>{"write8 6", "read8 6", "write8 6", "read8 6", "write16 4", "read16 4",
                                                "read8 6", "write16 14", "read16 14", "read8 7"}));
}

TEST(RegisterWidth, MappedRegistersDoNotChangeTheirNeighbours) {
  alignas(4) std::array<std::uint8_t, 20> memory;
  memory.fill(0xA5);
  exercise(NarrowRegisters(Bar(memory.data(), 16)));
  EXPECT_EQ(memory, (std::array<std::uint8_t, 20>{0xA5, 0xA5, 0xA5, 0xA5, 0xFF, 0xFF, 0x7F, 0xA5, 0xA5, 0xA5,
                                                  0xA5, 0xA5, 0xA5, 0xA5, 0x34, 0x12, 0xA5, 0xA5, 0xA5, 0xA5}));
}

TEST(RegisterWidth, A32BitWindowSplitsReadsAndIgnoresNarrowWrites) {
  WordCard card;
  const Bar bar(card, 8);
  for (std::uint32_t offset = 0; offset < 8; ++offset) EXPECT_EQ(bar.read8(offset), 0x11 * (offset + 1)) << offset;
  EXPECT_EQ(bar.read16(0), 0x2211);
  EXPECT_EQ(bar.read16(6), 0x8877);
  EXPECT_EQ(card.reads, 10u);
  bar.write8(5, 0xFF);
  bar.write16(2, 0xFFFF);
  EXPECT_EQ(card.words, (std::array<std::uint32_t, 2>{0x44332211, 0x88776655}));
}

TEST(RegisterWidth, DoorbellsHave16Or32Bits) {
  NarrowCard card;
  const Bar remote(card, 16);
  BasicDoorbell<std::uint16_t>(remote, 2).ring(0x1234);
  Doorbell(remote, 4).ring(0x12345678);
  EXPECT_EQ(card.log, (std::vector<std::string>{"write16 2", "write32 4"}));
  alignas(4) std::array<std::uint8_t, 16> memory{};
  const Bar mapped(memory.data(), 16);
  BasicDoorbell<std::uint16_t>(mapped, 2).ring(0x1234);
  Doorbell(mapped, 4).ring(0x12345678);
  EXPECT_EQ(memory, card.bytes);
}

TEST(RegisterWidth, IsPartOfTheRegisterInfo) {
  constexpr auto kTable = POLLUX_REGISTERS("common", SELECT, VECTOR, STATE);
  EXPECT_EQ(kTable[0].bits, 32u);
  EXPECT_EQ(kTable[1].bits, 16u);
  EXPECT_EQ(kTable[2].bits, 8u);
  EXPECT_EQ(kTable[2].fields[3].name, "FAILED");
  EXPECT_EQ(SIZES::offset(3), 14u);
}

TEST(RegisterWidth, BitsBeyondARegisterAreCutOff) {
  const volatile std::uint32_t wide = 0x1FF;
  EXPECT_EQ(STATE::Value(wide).raw(), 0xFFu);
}

}  // namespace
}  // namespace pollux
