// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "hw/intel/igbvf/messages.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "support/fixture.hpp"

namespace pollux::test {

/// A stopped physical port on an in-process card. The test acts as virtual function 0.
class PhysicalFunction : public testing::Test {
 protected:
  static constexpr std::uint32_t kSecondQueue = hw::igb::kPools;  ///< of function 0

  void SetUp() override { ASSERT_TRUE(fixture.port.stop()); }
  void enable(unsigned count) {
    const auto enabled = functions->set_functions(count);
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
    using hw::igbvf::V2PMAILBOX;
    fixture.card.with([&](models::igb::Card& card) {
      DeviceModel& function = *card.function(0);
      const auto write = [&function](std::uint32_t offset, std::uint32_t value) {
        function.write32(hw::igbvf::kRegisterBar, offset, value);
      };
      write(V2PMAILBOX::offset(), V2PMAILBOX::Value(V2PMAILBOX::VFU).raw());
      for (std::uint32_t i = 0; i < words.size(); ++i) write(hw::igbvf::VMBMEM::offset(i), words[i]);
      const V2PMAILBOX::Value request(V2PMAILBOX::REQ);
      write(V2PMAILBOX::offset(), (releases ? request : request.with(V2PMAILBOX::VFU)).raw());
      return 0;
    });
    EXPECT_TRUE(fixture.port.service());
    return fixture.card.value<hw::igb::VMBMEM>(0).raw();
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

  CardFixture fixture{{.port = {.rx = {.ring = 64}, .tx = {.ring = 64}}}};
  Capability<VirtualFunctions> functions = fixture.port.capability<VirtualFunctions>();
};

}  // namespace pollux::test
