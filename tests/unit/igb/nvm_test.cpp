// SPDX-License-Identifier: BSD-3-Clause
// The capability Nvm: words, checksum, version and write protection.
#include "pollux/net/nvm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "hw/intel/igb/nvm.hpp"
#include "models/intel/igb/package.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

namespace layout = hw::igb::nvm;
using Words = std::vector<std::uint16_t>;

struct NvmFixture : IgbFixture {
  std::unique_ptr<PortMachine> port = open();
  Nvm& nvm = *port->capability<Nvm>();

  [[nodiscard]] Words stored() {
    return with_card(
        [](models::igb::Card& card) { return Words(card.nvm().words().begin(), card.nvm().words().end()); });
  }
  void store(std::uint16_t word, std::uint16_t value) {
    with_card([&](models::igb::Card& card) { return card.nvm().words()[word] = value; });
  }
  void expect_no_violations() {
    EXPECT_EQ(with_card([](models::igb::Card& card) { return card.package().violations().total(); }), 0u);
    EXPECT_FALSE(value<reg::EECD>().has_any(reg::EECD::REQ | reg::EECD::GNT)) << "the pins are released";
    EXPECT_EQ(with_card([](models::igb::Card& card) { return card.package().sync().raw(); }), 0u);
  }
};

TEST(PortNvm, ReadsEveryWordThatTheCardHas) {
  NvmFixture fixture;
  const auto info = fixture.nvm.nvm_info();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->words, 256u);
  EXPECT_EQ(info->vendor_id, 0x8086u);
  EXPECT_EQ(info->device_id, 0x10C9u);
  EXPECT_TRUE(info->checksum_holds);
  const auto words = fixture.nvm.read_nvm(0, info->words);
  ASSERT_TRUE(words);
  Words expected = fixture.stored();
  expected.resize(256);
  EXPECT_EQ(*words, expected);
}

TEST(PortNvm, DecodesVersionsAsLinuxDoes) {
  NvmFixture fixture;
  fixture.store(layout::kVersion, 0x1237);
  auto version = fixture.nvm.nvm_info()->version;
  EXPECT_EQ(version.major, 1);
  EXPECT_EQ(version.minor, 0x23);
  EXPECT_EQ(version.image, 7);
  EXPECT_FALSE(version.track_id);
  fixture.store(layout::kTrackId, 0x0C4F);
  fixture.store(layout::kTrackId + 1, 0x8000);
  version = fixture.nvm.nvm_info()->version;
  EXPECT_EQ(version.minor, 23) << "decimal digits";
  EXPECT_EQ(version.image, 0);
  EXPECT_EQ(version.track_id, 0x80000C4Fu);
  fixture.store(layout::kVersion, 0x1045);
  EXPECT_EQ(fixture.nvm.nvm_info()->version.minor, 45) << "two digits at the end";
}

TEST(PortNvm, WritesWordsAndTheChecksum) {
  NvmFixture fixture;
  Words expected = fixture.stored();
  const Words written{0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666};
  std::ranges::copy(written, expected.begin() + 0x1E);
  expected[layout::kChecksum] = layout::checksum_for(std::span(expected).first(layout::kChecksum));
  const auto result = fixture.nvm.write_nvm(0x1E, written);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(fixture.stored(), expected);
  EXPECT_EQ(*fixture.nvm.read_nvm(0x1E, 6), written);
  fixture.expect_no_violations();
  ASSERT_TRUE(fixture.nvm.write_nvm(0xFF, std::array<std::uint16_t, 1>{0xABCD}));
  expected[0xFF] = 0xABCD;
  EXPECT_EQ(fixture.stored(), expected) << "beyond the checksum's words";
}

TEST(PortNvm, WritesACopyBack) {
  NvmFixture fixture;
  const auto copy = fixture.nvm.read_nvm(0, 256);
  ASSERT_TRUE(copy);
  const Words before = fixture.stored();
  ASSERT_TRUE(fixture.nvm.write_nvm(0, std::array<std::uint16_t, 3>{0x0002, 0x1234, 0x5678}));
  ASSERT_NE(fixture.stored(), before);
  const auto start = fixture.clock->now();
  const auto restored = fixture.nvm.write_nvm(0, *copy);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(fixture.stored(), before);
  EXPECT_LT(fixture.clock->now() - start, 64 * models::igb::NvmPins::kWriteTime) << "pages that are as wanted are kept";
  fixture.expect_no_violations();
}

TEST(PortNvm, TheNewAddressIsThatOfTheNextOpen) {
  NvmFixture fixture;
  ASSERT_TRUE(fixture.nvm.write_nvm(0, std::array<std::uint16_t, 3>{0x0002, 0x3412, 0x7856}));
  ASSERT_TRUE(fixture.port->close());
  const auto reopened = fixture.open();
  ASSERT_NE(reopened, nullptr);
  EXPECT_EQ(reopened->mac(), (MacAddress{0x02, 0x00, 0x12, 0x34, 0x56, 0x78}));
}

TEST(PortNvm, RefusedWritesChangeNothing) {
  NvmFixture fixture;
  const Words before = fixture.stored();
  const auto code = [&](std::uint32_t first, const Words& words) {
    const auto result = fixture.nvm.write_nvm(first, words);
    EXPECT_FALSE(result.error().hint.empty());
    return result.error().code;
  };
  EXPECT_EQ(code(256, {1}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(255, {1, 2}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(0xFFFFFFFF, {1}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(0, {}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(layout::kChecksum, {0x1234}), ErrorCode::invalid_argument) << "a wrong checksum";
  EXPECT_THAT(fixture.nvm.read_nvm(0, 0).error().what, testing::HasSubstr("0 words"));
  EXPECT_EQ(fixture.nvm.read_nvm(0, 0).error().hint, "choose at least one word");
  EXPECT_EQ(fixture.nvm.read_nvm(200, 57).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(fixture.nvm.set_nvm_protection(NvmProtection::upper_quarter));
  EXPECT_EQ(code(0xBF, {1, 2}), ErrorCode::bad_state);
  ASSERT_TRUE(fixture.nvm.set_nvm_protection(NvmProtection::all));
  EXPECT_EQ(code(0x10, {1}), ErrorCode::bad_state);
  EXPECT_EQ(fixture.stored(), before);
  fixture.expect_no_violations();
}

TEST(PortNvm, ProtectionIsReadAndWritten) {
  NvmFixture fixture;
  EXPECT_EQ(fixture.nvm.nvm_protection(), NvmProtection::none);
  for (const auto protection : {NvmProtection::upper_half, NvmProtection::all, NvmProtection::upper_quarter}) {
    ASSERT_TRUE(fixture.nvm.set_nvm_protection(protection));
    EXPECT_EQ(fixture.nvm.nvm_protection(), protection);
  }
  ASSERT_TRUE(fixture.nvm.write_nvm(0xBF, std::array<std::uint16_t, 1>{1})) << "below the protected quarter";
  ASSERT_TRUE(fixture.nvm.set_nvm_protection(NvmProtection::none));
  EXPECT_TRUE(fixture.nvm.write_nvm(0xC0, std::array<std::uint16_t, 1>{2}));
}

/// From its `n`th word on, the memory chip stores something else.
void spoil_writes_from(NvmFixture& fixture, std::uint16_t word) {
  fixture.clock->follow([&fixture, word](Duration) { fixture.store(word, 0xDEAD); });
}

TEST(PortNvm, AFailureNamesTheWordsThatWereWritten) {
  NvmFixture fixture;
  spoil_writes_from(fixture, 0x85);
  const Words words(12, 0x7777);
  const auto result = fixture.nvm.write_nvm(0x80, words);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::device_fault);
  EXPECT_THAT(result.error().what, testing::HasSubstr("NVM word 0x85 reads 0xdead after 0x7777 was written"));
  EXPECT_THAT(result.error().what, testing::HasSubstr("the words 0x80 to 0x83 were written"));
  EXPECT_EQ(fixture.stored()[0x83], 0x7777);
  EXPECT_EQ(fixture.stored()[0x88], 0xFFFF) << "nothing is written after a failure";
  fixture.expect_no_violations();
}

TEST(PortNvm, WaitsAreBounded) {
  NvmFixture fixture;
  fixture.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset != reg::EECD::offset()) return std::nullopt;
    return reg::EECD::Value(reg::EECD::PRES | reg::EECD::SIZE(2)).raw();  // never a grant
  };
  auto start = fixture.clock->now();
  const auto denied = fixture.nvm.write_nvm(0, std::array<std::uint16_t, 1>{1});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::timeout);
  EXPECT_THAT(denied.error().what, testing::HasSubstr("EECD.GNT"));
  EXPECT_LT(fixture.clock->now() - start, std::chrono::seconds(1));
  fixture.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset != reg::EECD::offset()) return std::nullopt;
    return reg::EECD::Value(reg::EECD::GNT | reg::EECD::DO | reg::EECD::SIZE(2)).raw();  // always busy
  };
  start = fixture.clock->now();
  const auto busy = fixture.nvm.nvm_protection();
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::timeout);
  EXPECT_LT(fixture.clock->now() - start, std::chrono::seconds(1));
}

TEST(PortNvm, AClosedPortRefusesAllCalls) {
  NvmFixture fixture;
  ASSERT_TRUE(fixture.port->close());
  EXPECT_EQ(fixture.nvm.nvm_info().error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture.nvm.read_nvm(0, 1).error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture.nvm.write_nvm(0, std::array<std::uint16_t, 1>{1}).error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture.nvm.nvm_protection().error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::drivers::igb
