// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "workload.hpp"

namespace pollux::bench {

/// The cases of DPDK's libraries, as its package has them, each with the name of Pollux's feature of the same purpose.
[[nodiscard]] std::span<const Case> dpdk_features();

}  // namespace pollux::bench
