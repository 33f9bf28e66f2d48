// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "common/program_setup.hpp"
#include "l2fwd/l2fwd.hpp"

namespace pollux::examples {

/// A route for each port: to the other port, or back to the same if there is only one, between their queues `queue`.
/// `paths` is empty or has one per port.
[[nodiscard]] std::vector<Route> make_routes(std::vector<Port>& ports,
                                             const std::vector<std::unique_ptr<ForwardPath>>& paths = {},
                                             std::uint16_t queue = 0);

/// The forwarders of a program: one, which the program's own thread polls, or with PortOptions::cores one on a thread
/// of each core.
class Workers {
 public:
  /// Errors: those of RunLoopThreads.
  [[nodiscard]] static Result<std::unique_ptr<Workers>> create(tools::ProgramSetup& setup,
                                                               const tools::PortOptions& ports,
                                                               const Forwarder::Options& options);

  [[nodiscard]] Result<void> start();
  /// Without threads of its own: polls `polls` times. Otherwise waits for a moment.
  void run(int polls, Clock& clock) noexcept;
  /// Runs `work` while no forwarder holds frames: between two bursts of all threads. Error timeout: a thread did not
  /// come to that point; then `work` has not run.
  [[nodiscard]] Result<void> between_bursts(const std::function<void()>& work);
  /// The threads end.
  [[nodiscard]] Result<void> stop();

  [[nodiscard]] bool limit_reached() const noexcept;
  [[nodiscard]] tools::Traffic forwarded() const noexcept;
  [[nodiscard]] std::uint64_t polls() const noexcept;
  [[nodiscard]] std::uint64_t empty_polls() const noexcept;
  /// Those of all forwarders.
  [[nodiscard]] std::vector<const DropCounter*> drops() const;

 private:
  Workers() = default;
  [[nodiscard]] Result<void> between_bursts_from(std::size_t thread, const std::function<void()>& work);

  std::deque<Forwarder> forwarders_;
  std::unique_ptr<RunLoopThreads> threads_;  // nullptr: the program's own thread polls
};

}  // namespace pollux::examples
