// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux {

class Registry;

/// Adds what `open` knows without a call of the program. The core has one definition and the whole library another; a
/// program links one of these. Both list everything explicitly, so that the linker drops nothing from a static library,
/// and nothing runs before main.
void register_built_in(Registry& registry);

void register_core(Registry& registry);
void register_laboratory(Registry& registry);

}  // namespace pollux
