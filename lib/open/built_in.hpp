// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/net/card_driver.hpp"

/// The drivers and in-process cards of the library. They are listed explicitly, so that the linker does not drop any
/// from a static library.
namespace pollux {

[[nodiscard]] std::deque<CardDriver> built_in_drivers();
/// The last one is the default card of `sim:` URIs.
[[nodiscard]] std::deque<CardModel> built_in_models();

using MakeCard = decltype(CardModel::make);
/// Makes cards of a built-in model with options, as text: models/virtio/net/options.hpp. Error invalid_argument if the
/// model has none, or not these.
[[nodiscard]] Result<MakeCard> card_with_options(std::string_view name, std::string_view options);

}  // namespace pollux
