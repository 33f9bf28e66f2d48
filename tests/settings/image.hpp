// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pollux/net/register_dump.hpp"

namespace pollux::test::settings {

/// The registers of a card that settings decide, by name. Slots of filters are sorted, since their order means nothing.
struct Image {
  struct Entry {
    std::uint32_t value = 0;
    std::span<const FieldInfo> fields = {};
  };
  std::map<std::string, Entry> registers = {};
};

/// The image of a register dump.
[[nodiscard]] Image image_of(const std::vector<RegisterValue>& dump);

/// The registers that differ, one a line, with their fields; empty if none does.
[[nodiscard]] std::string difference(const Image& got, const Image& expected);

}  // namespace pollux::test::settings
