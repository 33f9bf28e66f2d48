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

/// A thread that runs in-process cards, and the queue of register writes posted to it.
/// Thread rule: `post` from any thread; `start` and `stop` from one thread at a time; `process_posted` under the lock
/// of the Machine.
class Runner {
 public:
  struct Write {
    unsigned place = 0;  ///< the card's, see Wire
    unsigned bar = 0;
    std::uint32_t offset = 0;
    unsigned width = 4;  ///< bytes
    std::uint32_t value = 0;
  };
  /// The cards that the thread runs. Outlives the Runner.
  class Machine {
   public:
    /// Does all work that is due, and returns the time until the next work. The thread calls it without any lock.
    virtual Duration run() = 0;
    /// Executes a posted write. Called by process_posted.
    virtual void write(const Write& write) noexcept = 0;

   protected:
    ~Machine() = default;
  };
  /// Maximum number of posted writes. Beyond it the caller executes the write itself.
  static constexpr std::size_t kMaxPosted = 256;

  /// Error io_error if no eventfd can be created.
  [[nodiscard]] static Result<std::unique_ptr<Runner>> create(Machine& machine);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner() { stop(); }

  /// Starts the thread unless it runs. If the system cannot start a thread, `post` returns false.
  void start();
  /// Ends the thread and waits for it. Writes that are still posted stay queued for process_posted.
  void stop();
  /// False if the write cannot be posted. The caller then executes it, after process_posted.
  [[nodiscard]] bool post(const Write& write) noexcept;
  /// Passes all posted writes to the Machine, in order.
  void process_posted() noexcept;

 private:
  Runner(Machine& machine, FileDescriptor wake) : machine_(machine), wake_(std::move(wake)) {
    posted_.reserve(kMaxPosted);
    taken_.reserve(kMaxPosted);
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
