// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// SWSM: reading it takes the software semaphore. Firmware, in this card, never wants the other one.
class Semaphores {
 public:
  explicit Semaphores(RegisterFile& registers) {
    registers.on_read<hw::SWSM>([&registers](std::uint32_t) {
      const hw::SWSM::Value before = registers.get<hw::SWSM>();
      registers.set<hw::SWSM>(before.with(hw::SWSM::SMBI));
      return before.raw();
    });
  }
};

}  // namespace pollux::models::igb
