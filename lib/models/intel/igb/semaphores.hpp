// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// SWSM: a read takes the software semaphore. This card's firmware never takes the firmware semaphore.
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
