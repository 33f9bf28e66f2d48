// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"

namespace pollux {

/// Makes `open` know the schemes of the laboratory in this Context: `sim:`, `qtest:`, `record:`, `fault:`, `replay:`
/// and `pcap:`. A program needs this call only if it links the components `core` and `laboratory` instead of the whole
/// library; else it changes nothing. Thread rule: any thread.
POLLUX_API void add_laboratory(Context& context);

/// Adds an in-process card, which `sim:N?card=NAME` then opens. Error: invalid_argument if its name is not valid or it
/// has no `make` function.
[[nodiscard]] POLLUX_API Result<void> add_card_model(Context& context, CardModel model);

}  // namespace pollux
