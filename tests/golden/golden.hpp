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

/// What a driver did with a card in one phase of a port's life, and the file that says what it should do.
struct Phase {
  const char* file;
  std::vector<TraceEntry> trace;
};
/// Opens, starts, stops and closes the card that `uri` names. What it takes to wait for the link is left out.
[[nodiscard]] std::vector<Phase> trace_life(const char* uri, std::shared_ptr<Clock> clock);

/// What a driver did with an 82576, as lines of text. What legitimately varies is left out: where rings are, the
/// address of the card, how often a register was polled until it had its value, and which statistics were folded in.
/// `read_values`: with the values that were read; without them a card that answers otherwise gives the same text.
[[nodiscard]] std::string describe_trace(const std::vector<TraceEntry>& trace, bool read_values = true);
/// A trace of that text without its read values.
[[nodiscard]] std::string without_read_values(const std::string& text);

/// Compares `text` with the file `name` of tests/golden, or of any folder. With POLLUX_UPDATE_GOLDEN=1 in the
/// environment the file is written instead, which is a failure, too: nothing was compared.
[[nodiscard]] testing::AssertionResult is_golden(std::string_view name, const std::string& text);
/// What that file holds; empty if there is none.
[[nodiscard]] std::string golden_text(std::string_view name);
/// The first line in which two texts differ, for a person.
[[nodiscard]] std::string first_difference(const std::string& expected, const std::string& found);

}  // namespace pollux::test
