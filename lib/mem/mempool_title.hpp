// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "pollux/mem/mempool.hpp"

namespace pollux {

/// "mempool rx": the pool in messages. One with the default name is only "mempool".
[[nodiscard]] inline std::string title_of(const MempoolOptions& pool) {
  return pool.name == MempoolOptions().name ? pool.name : "mempool " + pool.name;
}

}  // namespace pollux
