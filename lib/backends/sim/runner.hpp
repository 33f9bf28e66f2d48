// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

/// A thread on which cards work beside the one that drives them, and the register writes on their way to it.
/// Thread rule: `post` from any thread; `start` and `stop` from one at a time; `take_posted` under the machine's lock.
class Runner {
 public:
  struct Write {
    unsigned end = 0;
    unsigned bar = 0;
    std::uint32_t offset = 0;
    unsigned width = 4;  ///< bytes
    std::uint32_t value = 0;
  };
  /// What runs. Outlives the Runner.
  class Machine {
   public:
    /// Does all that is due and tells how long until there is more. Called by the thread, without any lock.
    virtual Duration run() = 0;
    /// A write arrives. Called from within `run`, or whoever else calls take_posted.
    virtual void write(const Write& write) noexcept = 0;

   protected:
    ~Machine() = default;
  };
  /// Posted writes at most; a driver that has that many does the work itself.
  static constexpr std::size_t kMostPosted = 256;

  /// Error io_error without an event descriptor.
  [[nodiscard]] static Result<std::unique_ptr<Runner>> create(Machine& machine);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner() { stop(); }

  /// Starts the thread unless it runs. Without one (the system refuses) writes are not posted.
  void start();
  /// Returns when the thread is gone; what is still posted waits for take_posted.
  void stop();
  /// False if it cannot be posted: the caller does it, after what was posted before.
  [[nodiscard]] bool post(const Write& write) noexcept;
  /// Hands what was posted to the machine, in order.
  void take_posted() noexcept;

 private:
  Runner(Machine& machine, FileDescriptor wake) : machine_(machine), wake_(std::move(wake)) {
    posted_.reserve(kMostPosted);
    taken_.reserve(kMostPosted);
  }
  void loop();
  void sleep(Duration span) noexcept;
  void wake() noexcept;

  Machine& machine_;
  FileDescriptor wake_;
  std::thread thread_;
  std::atomic<bool> running_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> has_posted_{false};
  std::mutex post_lock_;
  std::vector<Write> posted_;  // under post_lock_
  std::vector<Write> taken_;   // under the machine's lock
};

}  // namespace pollux::sim
