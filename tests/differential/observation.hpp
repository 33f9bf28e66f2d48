// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "differential/differences.hpp"

namespace pollux::differential {

/// A value that should be the same for the model and QEMU's card.
struct Observation {
  std::string what;  ///< such as "rx 3 descriptor 7 status"; selects the entries of `differences.cpp`
  std::uint64_t value = 0;
};

/// The observations of one run, in order.
class Observations {
 public:
  void add(std::string what, std::uint64_t value) { list_.push_back({std::move(what), value}); }
  /// Adds a checksum of the bytes.
  void add_bytes(const std::string& what, const void* bytes, std::size_t size);
  [[nodiscard]] const std::vector<Observation>& list() const { return list_; }

 private:
  std::vector<Observation> list_;
};

/// Compares the model's observations with QEMU's, and collects the mismatches that no known difference explains.
class Comparison {
 public:
  explicit Comparison(Scope scope, std::span<const Difference> known = known_differences());
  /// Compares two lists. Names that differ in text or order are a mismatch, and so are two empty lists. `where`
  /// describes how to reproduce a mismatch.
  void add(const Observations& model, const Observations& qemu, const std::string& where);
  [[nodiscard]] bool alike() const { return mismatches_.empty(); }
  /// One line for each kind of observation that differed: the count, and the first occurrence.
  [[nodiscard]] std::string report() const;
  /// One line for each stale difference: a known difference of the scope that did not occur, or not in all of its bits.
  [[nodiscard]] std::string stale() const;
  /// How often each known difference occurred, by its tag.
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

  std::vector<Known> known_;                    // known differences of the scope
  std::map<std::string, Mismatch> mismatches_;  // by the observation's name without numbers
  std::map<std::string, std::uint64_t> met_;
  std::uint64_t compared_ = 0;
};

}  // namespace pollux::differential
