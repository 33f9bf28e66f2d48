// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/intel/igbvf/registers.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "support/fixture.hpp"

namespace pollux::test {

/// Knows what the card must hold after the messages of virtual function 0, by the answers to them: an accepted request
/// changes the card as it says, and nothing else changes it. The port filters no VLANs, function 0 has no setting, and
/// function 1 has an address and sends nothing.
class MailboxOracle {
 public:
  using Message = std::array<std::uint32_t, hw::igbvf::kMessageWords>;
  static constexpr unsigned kFunctions = 2;
  static constexpr std::uint32_t kDefaultFrame = wire_bytes(1500);  ///< of a function that has set none
  static constexpr MacAddress kOtherMac{0x02, 0x11, 0x22, 0x33, 0x44, 0x51};

  /// Enables the functions of a stopped port and starts it. The fixture outlives the object.
  MailboxOracle(CardFixture& fixture, Capability<VirtualFunctions> functions);

  /// Function 0 sends `message`, and the port is serviced. `flags`: what it writes to V2PMAILBOX.
  void send(const Message& message, std::uint32_t flags);
  /// Function 0 resets itself, and the port is serviced.
  void reset();
  /// Compares the card's tables with what was accepted.
  void check_card();
  /// What did not hold first; empty: all did.
  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }

  std::uint64_t requests = 0;  ///< requests = granted + refused + ignored
  std::uint64_t granted = 0;
  std::uint64_t refused = 0;
  std::uint64_t ignored = 0;  ///< answers, and messages of the driver itself

 private:
  void require(bool holds, const char* what);
  void forget_requests();
  void check_answer(const Message& message, std::uint32_t answer, const VirtualFunctionState& before);
  void accept(const Message& message);
  void accept_address(const Message& message);
  void accept_multicast(const Message& message);
  void check_addresses();
  void check_vlans();
  void check_groups();
  void check_pools();
  [[nodiscard]] VirtualFunctionState state(unsigned number = 0) const { return *functions_->function(number); }

  CardFixture& fixture_;
  Capability<VirtualFunctions> functions_;
  VirtualFunctionState untouched_;  // of function 1
  bool up_ = false;
  std::vector<MacAddress> own_;  // at most one
  std::multiset<MacAddress> others_;
  std::set<std::uint32_t> vlans_;
  std::vector<std::uint32_t> hashes_;
  bool all_groups_ = false;
  bool many_groups_ = false;
  std::uint32_t max_frame_ = kDefaultFrame;
  std::string violation_;
};

}  // namespace pollux::test
