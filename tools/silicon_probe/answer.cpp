// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "silicon_probe/probe.hpp"

namespace pollux::silicon {
namespace {

std::string milliseconds_text(Duration span) {
  return fmt::format("{:.3f} ms", std::chrono::duration<double, std::milli>(span).count());
}

}  // namespace

void Answer::equal(std::string_view tag, std::string what, std::uint64_t said, std::uint64_t expected) {
  facts_.push_back({tag, std::move(what), std::to_string(said), std::to_string(expected), said == expected});
}

void Answer::equal_hex(std::string_view tag, std::string what, std::uint64_t said, std::uint64_t expected) {
  facts_.push_back(
      {tag, std::move(what), fmt::format("{:#x}", said), fmt::format("{:#x}", expected), said == expected});
}

void Answer::yes_no(std::string_view tag, std::string what, bool said, bool expected) {
  facts_.push_back({tag, std::move(what), said ? "yes" : "no", expected ? "yes" : "no", said == expected});
}

void Answer::within(std::string_view tag, std::string what, std::optional<Duration> took, Duration limit) {
  facts_.push_back({tag, std::move(what), took ? milliseconds_text(*took) : "did not happen",
                    "within " + milliseconds_text(limit), took && *took <= limit});
}

void Answer::note(std::string_view tag, std::string what, std::string said) {
  facts_.push_back({tag, std::move(what), std::move(said), {}, true});
}

void Answer::note(std::string_view tag, std::string what, std::uint64_t said) {
  note(tag, std::move(what), std::to_string(said));
}

void Answer::note_hex(std::string_view tag, std::string what, std::uint64_t said) {
  note(tag, std::move(what), fmt::format("{:#x}", said));
}

bool Answer::agrees() const {
  return std::all_of(facts_.begin(), facts_.end(), [](const Fact& f) { return f.agrees; });
}

}  // namespace pollux::silicon
