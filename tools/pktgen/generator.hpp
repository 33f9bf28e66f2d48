// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/account.hpp"
#include "common/program_setup.hpp"
#include "pktgen/frame_supply.hpp"
#include "pktgen/options.hpp"
#include "pktgen/receiver.hpp"
#include "pktgen/sender.hpp"

namespace pollux::tools {

/// The senders and receivers of a program, one per queue, and the threads that poll them: the program's own, which may
/// leave sending to a second one (PktgenOptions::threads), or with PortOptions::cores one on each core.
class Generator {
 public:
  /// Errors: those of FrameSupply::source, pace_of, RunLoopThreads and TxQueue::use_cache.
  [[nodiscard]] static Result<std::unique_ptr<Generator>> create(ProgramSetup& setup, const PktgenOptions& options,
                                                                 const FrameSupply& supply);

  [[nodiscard]] Result<void> start();
  /// Polls once what belongs to the program's own thread; false if that is nothing. Without `may_send` only receives.
  bool poll(bool may_send) noexcept;
  /// No more frames are sent.
  void stop_sending() noexcept { sending_.store(false, std::memory_order_relaxed); }
  /// The threads end, and frames that were built but not sent are dropped as "unsent".
  [[nodiscard]] Result<void> stop();

  [[nodiscard]] bool all_sent() const noexcept;
  /// Any thread may call these: sums over all queues.
  [[nodiscard]] std::uint64_t taken() const noexcept;
  [[nodiscard]] std::uint64_t received() const noexcept;
  [[nodiscard]] std::uint64_t ours() const noexcept;
  [[nodiscard]] std::uint64_t good() const noexcept;

  [[nodiscard]] const std::deque<Sender>& senders() const noexcept { return senders_; }
  [[nodiscard]] const std::deque<Receiver>& receivers() const noexcept { return receivers_; }
  /// The account of a program whose own thread polls everything; nothing if other threads do.
  [[nodiscard]] std::optional<Account> account(ProgramSetup& setup) const;
  /// Those of all senders.
  [[nodiscard]] std::vector<const DropCounter*> drops() const;

 private:
  /// What one thread polls.
  struct Share {
    std::vector<Sender*> senders;
    std::vector<Receiver*> receivers;
  };

  Generator() = default;
  [[nodiscard]] Result<void> add_senders(ProgramSetup& setup, const PktgenOptions& options, const FrameSupply& supply);
  void add_receivers(ProgramSetup& setup, const PktgenOptions& options);
  [[nodiscard]] Result<void> add_threads(ProgramSetup& setup, const PktgenOptions& options);
  void poll(const Share& share, bool may_send) const noexcept;

  std::optional<MempoolCache> sender_cache_;  // of the thread that only sends
  std::deque<Sender> senders_;
  std::deque<Receiver> receivers_;
  Share own_;                 // of the program's own thread
  std::deque<Share> shares_;  // of each other thread
  std::atomic<bool> sending_{true};
  std::unique_ptr<RunLoopThreads> threads_;
};

}  // namespace pollux::tools
