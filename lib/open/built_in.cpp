// SPDX-License-Identifier: BSD-3-Clause
#include "open/built_in.hpp"

#include <fmt/format.h>

#include "drivers/intel/igb/driver.hpp"
#include "drivers/intel/igbvf/driver.hpp"
#include "drivers/virtio/net/driver.hpp"
#include "models/intel/igb/card.hpp"
#include "models/virtio/net/card.hpp"

namespace pollux {

std::deque<CardDriver> built_in_drivers() {
  return {drivers::igb::driver(), drivers::igbvf::driver(), drivers::virtio::driver()};
}

std::deque<CardModel> built_in_models() {
  return {{.name = "virtio-net", .make = *models::virtio::card_maker("")},
          {.name = "82576", .make = models::igb::make_card}};
}

Result<MakeCard> card_with_options(std::string_view name, std::string_view options) {
  if (name == "virtio-net") return models::virtio::card_maker(options);
  return fail(ErrorCode::invalid_argument, fmt::format("the in-process card '{}' has no options", name),
              fmt::format("write card={}", name));
}

}  // namespace pollux
