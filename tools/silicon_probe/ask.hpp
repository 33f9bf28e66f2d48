// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "pollux/base/log.hpp"
#include "silicon_probe/probe.hpp"

namespace pollux::silicon {

struct AskOptions {
  std::string port;
  std::string partner = {};                ///< empty: probes that need one are skipped
  std::shared_ptr<Clock> clock = nullptr;  ///< null: the machine's
  LogCallback log = {};
  /// Folders, which exist; empty: nothing is written. A trace is a text with every register access of both ports. A
  /// recording is for `replay`; probes whose answer depends on memory that the card writes have none.
  std::filesystem::path traces = {};
  std::filesystem::path recordings = {};
  /// A folder with recordings, which answer in place of a card. `port` is not opened then.
  std::filesystem::path replay = {};
};

enum class State { answered, skipped, failed };
[[nodiscard]] std::string_view to_string(State state);

struct Outcome {
  const Probe* probe = nullptr;
  State state = State::failed;
  Answer answer;       ///< facts found before a failure are kept
  std::string reason;  ///< why it was skipped or failed
  Duration took{};
};

/// Asks one probe on a Context of its own: opens the ports, resets them, asks, and closes them.
[[nodiscard]] Outcome ask(const Probe& probe, const AskOptions& options);

}  // namespace pollux::silicon
