// SPDX-License-Identifier: BSD-3-Clause
#include "open/built_in.hpp"

#include "drivers/intel/igb/driver.hpp"
#include "drivers/intel/igbvf/driver.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux {

std::deque<CardDriver> built_in_drivers() { return {drivers::igb::driver(), drivers::igbvf::driver()}; }

std::deque<CardModel> built_in_models() { return {{.name = "82576", .make = models::igb::make_card}}; }

}  // namespace pollux
