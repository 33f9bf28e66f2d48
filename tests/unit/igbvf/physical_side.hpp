// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igbvf {

/// The physical function of an in-process card without traffic of its own: it enables one virtual function and answers
/// its mailbox, by the registers that Linux's igb uses (igb_main.c, igb_rcv_msg_from_vf; e1000_mbx.c).
class PhysicalSide {
 public:
  static constexpr MacAddress kOwn{0x02, 0x00, 0x00, 0x82, 0x57, 0x60};
  static constexpr MacAddress kAssigned{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};

  /// Works in virtual time from now on. `device` is sim:0 with a PHY in its default state.
  PhysicalSide(std::unique_ptr<Device> device, const std::shared_ptr<ManualClock>& clock);

  /// Sends a message of one word to the function.
  void send(std::uint32_t word);

  /// The kinds of requests, in order.
  std::vector<hw::igbvf::Message> requests;
  [[nodiscard]] const hw::igb::Registers& registers() const noexcept { return regs_; }

 private:
  static constexpr std::uint32_t kPool = 1;  // its own; the function has pool 0
  void start_link(ManualClock& clock);
  void set_up_pools();
  void set_address(std::uint32_t entry, const MacAddress& mac, std::uint32_t pool);
  void work();
  void answer();

  std::unique_ptr<Device> device_;
  hw::igb::Registers regs_;
  bool working_ = false;
};

}  // namespace pollux::drivers::igbvf
