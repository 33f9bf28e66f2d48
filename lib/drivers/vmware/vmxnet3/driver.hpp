// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/card_driver.hpp"

namespace pollux::drivers::vmxnet3 {

/// The driver's row in the table of drivers. Its devices cannot be recorded: what they do depends on memory.
[[nodiscard]] CardDriver driver();

}  // namespace pollux::drivers::vmxnet3
