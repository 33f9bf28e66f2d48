// SPDX-License-Identifier: BSD-3-Clause
#include "recorded_values.hpp"

#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "rig.hpp"

namespace pollux::bench {

RecordedValues RecordedValues::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return {};
  try {
    const nlohmann::json json = nlohmann::json::parse(file);
    return {json.at("compiler"), json.at("flags"), json.at("instructions")};
  } catch (const std::exception& error) {  // of the parser, or of a stream that cannot be read
    give_up(fmt::format("{} does not hold recorded values: {}", path, error.what()));
  }
}

void RecordedValues::write(const std::string& path) const {
  nlohmann::ordered_json json{{"compiler", compiler}, {"flags", flags}};
  // A thousandth of an instruction is less than one in a whole round.
  for (const auto& [name, value] : instructions) json["instructions"][name] = std::round(value * 1000) / 1000;
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  if (!file.flush()) give_up(fmt::format("cannot write {}", path));
}

std::string compiler_here() { return POLLUX_BENCH_COMPILER; }
std::string flags_here() { return POLLUX_BENCH_FLAGS; }

}  // namespace pollux::bench
