// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/socket_file.hpp"
#include "mem/context_state.hpp"
#include "net/handover/keeper.hpp"
#include "net/handover/kept_file.hpp"
#include "net/handover/port_handover.hpp"
#include "pollux/net/placed_settings.hpp"
#include "pollux/net/port.hpp"

namespace pollux::handover {

/// Of all programs that have crashed.
struct CrashLosses {
  std::uint64_t lost = 0;      ///< frames in rings, or of bursts that were not finished
  std::uint64_t received = 0;  ///< the others that the programs took
  std::uint64_t sent = 0;      ///< that they gave, and that were or will be sent
};
void append_counters(std::vector<Counter>& counters, const CrashLosses& losses);
/// Says that the port goes on, or that it does not.
///@{
void report_crash(const ContextState& context, const std::string& port, const CrashLosses& losses);
void report_anew(const ContextState& context, const std::string& port, const Error& why);
///@}

/// What a keeper holds of a port, under names that begin with `prefix`. ADR 25.
/// Thread rule: the port's control thread.
class KeptPort {
 public:
  KeptPort(Keeper keeper, std::string prefix) : keeper_(std::move(keeper)), prefix_(std::move(prefix)) {}

  /// What a program that has ended left, with names without the prefix; it stays stored. Empty: nothing, or nobody
  /// listens, or an error that is logged. Error busy: a program that runs has it.
  [[nodiscard]] Result<std::vector<NamedDescriptor>> take(const ContextState& context, const std::string& port);
  /// Whether the keeper has none of it: it was not asked yet, or is another one by now.
  [[nodiscard]] bool must_store() noexcept;
  /// Stores the descriptors in their order, but that with the name `last`, without which a successor starts anew, at
  /// the end. A failure is logged, once.
  void store(const ContextState& context, const std::string& port, std::vector<std::pair<std::string, int>> descriptors,
             const std::string& last);
  /// The keeper drops it.
  void end() noexcept;
  /// Another program has it by now, or `end` is not to be called for it. Returns what is stored.
  std::vector<std::string> forget() noexcept { return std::exchange(stored_, {}); }
  void remember(std::vector<std::string> stored) noexcept { stored_ = std::move(stored); }

 private:
  Keeper keeper_;
  std::string prefix_;
  std::vector<std::string> stored_;
  SocketIdentity keeper_file_;
  bool failed_ = false;  // which was said
};

/// The record of a port that is kept.
void write_kept(KeptFile& file, const PortInfo& info, const PlacedSettings& settings, const Json& details);
/// The port that was kept, with its descriptors. Error invalid_argument.
[[nodiscard]] Result<PortRecord> read_kept(const KeptFile& file, std::vector<NamedDescriptor> held);

}  // namespace pollux::handover
