// SPDX-License-Identifier: BSD-3-Clause
#include "recorded_values.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fixture.hpp"

namespace pollux::bench {

bool RecordedValues::are_ours() const { return compiler == compiler_here() && flags == flags_here(); }

Records Records::read(const std::string& path) {
  std::ifstream file(path);
  Records records;
  if (!file) return records;
  try {
    for (const nlohmann::json& json : nlohmann::json::parse(file)) {
      records.all_.push_back({json.at("compiler"), json.at("flags"), json.at("instructions")});
    }
    return records;
  } catch (const std::exception& error) {  // from the parser, or from an unreadable file
    give_up(fmt::format("{} does not hold recorded values: {}", path, error.what()));
  }
}

void Records::write(const std::string& path) const {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const RecordedValues& values : all_) {
    nlohmann::ordered_json json{{"compiler", values.compiler}, {"flags", values.flags}};
    // Three digits are enough: a thousandth per operation is less than one instruction in a whole round.
    for (const auto& [name, value] : values.instructions) json["instructions"][name] = std::round(value * 1000) / 1000;
    all.push_back(std::move(json));
  }
  std::ofstream file(path);
  file << all.dump(2) << '\n';
  if (!file.flush()) give_up(fmt::format("cannot write {}", path));
}

const RecordedValues* Records::ours() const {
  const auto found = std::find_if(all_.begin(), all_.end(), [](const RecordedValues& one) { return one.are_ours(); });
  return found == all_.end() ? nullptr : &*found;
}

RecordedValues& Records::make_ours() {
  const auto found = std::find_if(all_.begin(), all_.end(), [](const RecordedValues& one) { return one.are_ours(); });
  if (found != all_.end()) return *found;
  return all_.emplace_back(RecordedValues{compiler_here(), flags_here(), {}});
}

std::string Records::compilers() const {
  std::string text;
  for (const RecordedValues& one : all_) {
    text += fmt::format("{}{} '{}'", text.empty() ? "" : ", ", one.compiler, one.flags);
  }
  return text;
}

std::string compiler_here() { return POLLUX_BENCH_COMPILER; }
std::string flags_here() { return POLLUX_BENCH_FLAGS; }

}  // namespace pollux::bench
