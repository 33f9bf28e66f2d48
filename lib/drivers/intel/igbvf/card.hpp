// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/common/card.hpp"
#include "hw/intel/igbvf/registers.hpp"

namespace pollux::drivers::igbvf {

namespace reg = hw::igbvf;

using IgbvfCard = intel::Card<hw::igbvf::Registers>;
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

}  // namespace pollux::drivers::igbvf
