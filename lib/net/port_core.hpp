// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>

#include "mem/control_scheduler.hpp"
#include "mem/control_task.hpp"
#include "net/missing_queue.hpp"
#include "net/port_machine.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

class ContextState;

/// What stands behind a Port: its states and its driver, the mutex of its control calls, and its service, which hangs
/// on the Context's Control from here until the port is closed or has failed.
class PortCore final : public ControlTask, public std::enable_shared_from_this<PortCore> {
 public:
  /// A service is overdue when it has not run for this many times as long as the driver said.
  static constexpr int kOverdue = 2;
  /// How often the Control runs it at least: that a card is gone is to be noticed soon.
  static constexpr Duration kLongest = std::chrono::seconds(1);

  [[nodiscard]] static std::shared_ptr<PortCore> create(std::shared_ptr<ContextState> context,
                                                        std::unique_ptr<PortDriver> driver);

  /// As long as the result lives no other control call runs. An overdue service is reported first.
  [[nodiscard]] std::unique_lock<std::mutex> lock();
  [[nodiscard]] ContextState& context() const noexcept { return *context_; }
  /// For whoever holds the lock; its driver's queues and what does not change, for anybody.
  [[nodiscard]] PortMachine& machine() noexcept { return *machine_; }

  // Control calls that mean something to the service, too. Each takes the lock.
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> stop();
  [[nodiscard]] Result<Duration> service();
  [[nodiscard]] Result<void> close();
  /// The end of the Port: closes what is open, and the driver is gone.
  void retire();

  /// Reports the misuse and stands in for the queue.
  [[nodiscard]] RxQueue& missing_rx(std::uint16_t index, Site site);
  [[nodiscard]] TxQueue& missing_tx(std::uint16_t index, Site site);

  [[nodiscard]] Result<Time> run() override;

 private:
  PortCore(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver);

  [[nodiscard]] Result<Duration> serve();
  void join_control();
  void leave_control();
  /// Whoever called was told of the failure, so the Control does not tell it again.
  void leave_if_failed();
  [[nodiscard]] std::optional<Misuse> find_overdue();
  void report_missing(const char* kind, const char* call, std::uint16_t index, Site site);

  std::shared_ptr<ContextState> context_;  // outlives the machine
  std::optional<PortMachine> machine_;
  MissingRxQueue missing_rx_;
  MissingTxQueue missing_tx_;
  std::mutex mutex_;
  std::optional<ControlScheduler::TaskId> task_;  // nothing: it does not hang on the Control (any more)
  Duration within_;                               // what the driver said last
  Time serviced_{0};                              // or started
  bool reported_ = false;                         // that it is overdue, since it ran
};

}  // namespace pollux
