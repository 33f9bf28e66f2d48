// SPDX-License-Identifier: BSD-3-Clause
#include "open/registry.hpp"

namespace pollux {

void register_built_in(Registry& registry) {
  register_core(registry);
  register_laboratory(registry);
}

}  // namespace pollux
