// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "differential/differences.hpp"

namespace pollux::differential {

/// Something that both kinds of card are to show alike.
struct Observation {
  std::string what;  ///< such as "rx 3 descriptor 7 status"; what of `differences.cpp` applies is told by it
  std::uint64_t value = 0;
};

/// What one run showed, in order.
class Observations {
 public:
  void add(std::string what, std::uint64_t value) { list_.push_back({std::move(what), value}); }
  /// Bytes as their number and a checksum of them.
  void add_bytes(const std::string& what, const void* bytes, std::size_t size);
  [[nodiscard]] const std::vector<Observation>& list() const { return list_; }

 private:
  std::vector<Observation> list_;
};

/// What the model showed otherwise than QEMU, of all that was compared, where no known difference explains it.
class Comparison {
 public:
  explicit Comparison(Scope scope, std::span<const Difference> known = known_differences());
  /// Both lists have to name the same things in the same order; where they do not, or nothing was observed, that is a
  /// mismatch. `where` says how to come back to it.
  void add(const Observations& model, const Observations& qemu, const std::string& where);
  [[nodiscard]] bool alike() const { return mismatches_.empty(); }
  /// One line for each kind of observation that differed: how often, and the first time.
  [[nodiscard]] std::string report() const;
  /// One line for each known difference of the scope that did not occur, or not in all of its bits: it is stale.
  [[nodiscard]] std::string stale() const;
  /// How often a difference that is known was met, by its tag.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& met() const { return met_; }
  [[nodiscard]] std::uint64_t compared() const { return compared_; }

 private:
  struct Mismatch {
    std::string first;
    std::uint64_t times = 0;
  };
  struct Known {
    const Difference* difference;
    std::uint64_t bits_seen = 0;
  };
  void compare(const Observation& model, const Observation& qemu, const std::string& where);
  void note(const std::string& kind, const std::string& text);

  std::vector<Known> known_;                    // those of the scope
  std::map<std::string, Mismatch> mismatches_;  // by what was observed, without numbers
  std::map<std::string, std::uint64_t> met_;
  std::uint64_t compared_ = 0;
};

}  // namespace pollux::differential
