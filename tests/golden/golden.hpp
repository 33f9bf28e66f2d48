// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/device/trace.hpp"

namespace pollux::test {

/// The driver's accesses to a card in one phase of a port's life, and the file with the expected accesses.
struct Phase {
  const char* file;
  std::vector<TraceEntry> trace;
};
/// Opens, starts, stops and closes the card that `uri` names, and traces each phase. The accesses while it waits for
/// the link are left out.
[[nodiscard]] std::vector<Phase> trace_life(const char* uri, std::shared_ptr<Clock> clock);

/// Describes a driver's accesses to an 82576 as lines of text. It leaves out what may vary: the addresses of rings, the
/// MAC address of the card, how often a register was polled, and which statistics registers were read.
/// `read_values`: whether the text has the values that were read. Without them, cards that return other values give the
/// same text.
[[nodiscard]] std::string describe_trace(const std::vector<TraceEntry>& trace, bool read_values = true);
/// The text of describe_trace without the values that were read.
[[nodiscard]] std::string without_read_values(const std::string& text);

/// Compares `text` with the file `name` in tests/golden; `name` may also be an absolute path. With
/// POLLUX_UPDATE_GOLDEN=1 in the environment it writes the file instead and fails, because nothing was compared.
[[nodiscard]] testing::AssertionResult is_golden(std::string_view name, const std::string& text);
/// The contents of the file `name` without its leading comment; empty if there is no such file.
[[nodiscard]] std::string golden_text(std::string_view name);
/// A message about the first line in which two texts differ; empty if there is none.
[[nodiscard]] std::string first_difference(const std::string& expected, const std::string& found);

}  // namespace pollux::test
