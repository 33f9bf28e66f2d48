// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

/// Questions to a card. docs/82576/interpretations.md lists what the sources on the 82576 leave open, each with a tag.
/// A probe asks a card about one or several of these tags, and records what the card says beside what was expected.
namespace pollux::silicon {

/// One thing that a card said.
struct Fact {
  std::string_view tag;  ///< in docs/82576/interpretations.md
  std::string what;
  std::string said;
  std::string expected;  ///< by the reading chosen there; empty: there is none, the value is only recorded
  bool agrees = true;    ///< false: the card differs from the reading
};

/// The facts of one probe, in the order in which they were found.
class Answer {
 public:
  void equal(std::string_view tag, std::string what, std::uint64_t said, std::uint64_t expected);
  void equal_hex(std::string_view tag, std::string what, std::uint64_t said, std::uint64_t expected);
  void yes_no(std::string_view tag, std::string what, bool said, bool expected);
  /// `took` is empty if it did not happen within the time that the probe waited.
  void within(std::string_view tag, std::string what, std::optional<Duration> took, Duration limit);
  void note(std::string_view tag, std::string what, std::string said);
  void note(std::string_view tag, std::string what, std::uint64_t said);
  void note_hex(std::string_view tag, std::string what, std::uint64_t said);

  [[nodiscard]] const std::vector<Fact>& facts() const { return facts_; }
  [[nodiscard]] bool agrees() const;

 private:
  std::vector<Fact> facts_;
};

class RawPort;

/// The ports that a probe may use. Both are reset before each probe, and after it.
struct ProbePorts {
  RawPort& port;
  RawPort* partner = nullptr;  ///< at the other end of the cable; null: there is none
};

struct Probe {
  std::string_view name;  ///< lower-case letters, digits and "_"
  std::string_view question;
  std::span<const std::string_view> tags;
  bool needs_partner = false;
  /// Its answer depends on memory that the card writes, so a recording of registers is not enough.
  bool uses_dma = false;
  /// Asks the card. An error means that there is no answer.
  Result<void> (*ask)(ProbePorts& ports, Answer& answer);
};

/// All probes, in the order in which they run.
[[nodiscard]] std::span<const Probe> probes();

/// A tag that no probe asks a card about, and why.
struct Unasked {
  std::string_view tag;
  std::string_view
      kind;  ///< "analyser", "other hardware", "harmful", "too long", "not a question to a card", "no probe"
  std::string_view why;
};
[[nodiscard]] std::span<const Unasked> unasked();

}  // namespace pollux::silicon
