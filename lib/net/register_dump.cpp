// SPDX-License-Identifier: BSD-3-Clause
#include "net/register_dump.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace pollux {

std::vector<RegisterValue> dump_registers(const Bar& bar, std::span<const RegisterInfo> table,
                                          std::span<const std::string_view> left_out) {
  std::vector<RegisterValue> values;
  for (const RegisterInfo& info : table) {
    if (!readable(info.access) || std::find(left_out.begin(), left_out.end(), info.name) != left_out.end()) continue;
    for (std::uint32_t i = 0; i < info.stride.count; ++i) {
      const std::uint32_t offset = info.at(i);
      values.push_back({.name = info.stride.count == 1 ? std::string(info.name) : fmt::format("{}[{}]", info.name, i),
                        .offset = offset,
                        .value = bar.read(offset, info.bits / 8),
                        .fields = info.fields});
    }
  }
  return values;
}

}  // namespace pollux
