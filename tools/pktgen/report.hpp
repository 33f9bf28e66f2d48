// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/account.hpp"
#include "common/output.hpp"
#include "common/program_setup.hpp"
#include "pktgen/generator.hpp"
#include "pktgen/options.hpp"

namespace pollux::tools {

/// The result of one run of pktgen. `lost` counts frames that did not arrive although they were sent, or although their
/// number lies between two received ones.
struct PktgenResult {
  Account account;
  double seconds = 0;
  Rate tx;
  Rate rx;
  std::uint64_t good = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t foreign = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t lost = 0;
  std::size_t flows = 0;  ///< of good frames; one that several queues received counts for each
  double empty_polls = 0;
  std::optional<Duration> longest_delay = {};  ///< of a frame after its slot began; nothing without a rate or a replay
  Duration slipped{0};                         ///< by how much the slots were put off after delays, of the worst queue
  std::vector<std::uint64_t> rx_queues = {};   ///< frames that each queue received

  /// Whether all received frames are correct. A wire may lose frames, unless `expect_all`.
  [[nodiscard]] bool as_expected(bool expect_all) const;
  /// Frames arrived, but none of them was sent by pktgen, so none could be checked.
  [[nodiscard]] bool all_foreign() const { return foreign != 0 && good + corrupt == 0; }
};

/// The sums over all queues of generator that have stopped. `account` is completed.
[[nodiscard]] PktgenResult make_result(Account account, double seconds, double ticks_per_second,
                                       const Generator& generator, bool check);

/// Prints a line every second from the library's counters, since other threads may send and receive.
class PktgenReport {
 public:
  /// The references outlive the object. `frames` says what is sent.
  PktgenReport(const PktgenOptions& options, std::string frames, ProgramSetup& setup, Output& output);
  void line(Duration now);
  void summary(const PktgenResult& result);
  [[nodiscard]] double elapsed(Duration now) const { return to_seconds(now - start_); }

 private:
  struct Counts {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };
  [[nodiscard]] Counts count();

  void print_json(const PktgenResult& result);
  void print_sent(const PktgenResult& result);
  void print_received(const PktgenResult& result);

  const PktgenOptions& options_;
  std::string frames_;  // what is sent
  ProgramSetup& setup_;
  Output& output_;
  Duration start_;
  Duration last_at_;
  Counts last_;
};

}  // namespace pollux::tools
