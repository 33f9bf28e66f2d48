// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::tools {

/// The rate of `read_cycles`, measured against the machine's clock; takes 20 ms.
[[nodiscard]] double measure_ticks_per_second();

}  // namespace pollux::tools
