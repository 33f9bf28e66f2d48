// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// Wake-up: the frames and changes of the link that WUFC selects set WUS and WUC.PME_STATUS, and the first frame is
/// kept in WUPL and WUPM. Works while WUC.PME_EN is set, also with receiving disabled. [I-M-WAKE] 82575 manual, 3.8;
/// bits: DPDK e1000, e1000_defines.h.
class Wake {
 public:
  explicit Wake(RegisterFile& registers) : registers_(registers) {}

  void frame(std::span<const std::byte> frame);
  void link_is(bool up);

  [[nodiscard]] bool requested() const noexcept { return registers_.get<hw::WUC>().has(hw::WUC::PME_STATUS); }
  /// WUS keeps the reasons.
  void end_request() noexcept { registers_.set<hw::WUC>(registers_.get<hw::WUC>().without(hw::WUC::PME_STATUS)); }

 private:
  using Address = std::array<std::byte, 6>;

  [[nodiscard]] Address own_address() const;
  [[nodiscard]] bool armed() const { return registers_.get<hw::WUC>().has(hw::WUC::PME_EN); }
  [[nodiscard]] hw::WUS::Value reasons(std::span<const std::byte> frame) const;
  void request(hw::WUS::Value reasons);

  RegisterFile& registers_;
  bool link_up_ = false;
};

}  // namespace pollux::models::igb
