// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/common/register_dump.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace pollux::drivers::intel {

void dump_aliases(const Bar& bar, std::span<const RegisterInfo> table, std::uint32_t queues,
                  std::vector<RegisterValue>& values) {
  for (const RegisterInfo& info : table) {
    if (!readable(info.access)) continue;
    for (std::uint32_t i = 0; i < std::min(queues, info.alias.count); ++i) {
      const std::uint32_t offset = info.alias.offset + i * info.alias.bytes;
      values.push_back({.name = fmt::format("{}[{}]", info.name, i),
                        .offset = offset,
                        .value = bar.read(offset, info.bits / 8),
                        .fields = info.fields});
    }
  }
}

}  // namespace pollux::drivers::intel
