// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "hw/intel/igbvf/registers.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {

/// A stopped physical port on an in-process card. The test acts as virtual function 0.
class PhysicalFunction : public testing::Test {
 protected:
  static constexpr std::uint32_t kSecondQueue = hw::igb::kPools;  ///< of function 0

  void SetUp() override { ASSERT_TRUE(fixture.port.stop()); }
  void enable(unsigned count) {
    const auto enabled = test::set_functions(fixture.port, count);
    ASSERT_TRUE(enabled) << enabled.error().message();
    start();
  }
  void start() {
    const auto started = fixture.port.start();
    ASSERT_TRUE(started) << started.error().message();
    ASSERT_TRUE(fixture.port.wait_for_link(std::chrono::seconds(5)));
    ASSERT_TRUE(fixture.port.service());
  }
  /// Function 0 sends a message. Returns the first word that is in the mailbox after the driver was serviced.
  std::uint32_t send(const std::vector<std::uint32_t>& words) { return send(std::span(words)); }
  std::uint32_t send(std::span<const std::uint32_t> words, bool releases = true) {
    fixture.card.with([&](models::igb::Card& card) {
      write_message(card, words, releases);
      return 0;
    });
    return serviced();
  }
  /// Function 0 tells that it has read its mailbox. Returns what is there after the driver was serviced.
  std::uint32_t read_mailbox() {
    acknowledge();
    return serviced();
  }
  void acknowledge() {
    using hw::igbvf::V2PMAILBOX;
    fixture.card.with([&](models::igb::Card& card) {
      write(card, V2PMAILBOX::offset(), V2PMAILBOX::Value(V2PMAILBOX::ACK).raw());
      return 0;
    });
  }
  static void write_message(models::igb::Card& card, std::span<const std::uint32_t> words, bool releases = true) {
    using hw::igbvf::V2PMAILBOX;
    write(card, V2PMAILBOX::offset(), V2PMAILBOX::Value(V2PMAILBOX::VFU).raw());
    for (std::uint32_t i = 0; i < words.size(); ++i) write(card, hw::igbvf::VMBMEM::offset(i), words[i]);
    const V2PMAILBOX::Value request(V2PMAILBOX::REQ);
    write(card, V2PMAILBOX::offset(), (releases ? request : request.with(V2PMAILBOX::VFU)).raw());
  }
  /// The pools of each VLAN in the card's table.
  [[nodiscard]] std::map<std::uint32_t, std::uint32_t> vlans() {
    using hw::igb::VLVF;
    std::map<std::uint32_t, std::uint32_t> table;
    for (std::uint32_t i = 0; i < VLVF::kCount; ++i) {
      const auto entry = fixture.card.value<VLVF>(i);
      if (entry.has(VLVF::VLANID_ENABLE)) table[entry.get(VLVF::VLANID)] = entry.get(VLVF::POOLSEL);
    }
    return table;
  }
  [[nodiscard]] VirtualFunctionState state(unsigned number = 0) { return *functions->function(number); }

 private:
  static void write(models::igb::Card& card, std::uint32_t offset, std::uint32_t value) {
    card.function(0)->write32(hw::igbvf::kRegisterBar, offset, value);
  }
  std::uint32_t serviced() {
    EXPECT_TRUE(fixture.port.service());
    return fixture.card.value<hw::igb::VMBMEM>(0).raw();
  }

 protected:
  CardFixture fixture{{.port = {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}}};
  Capability<VirtualFunctions> functions = fixture.port.capability<VirtualFunctions>();
};

}  // namespace pollux::test
