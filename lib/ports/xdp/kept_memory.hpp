// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/handover/kept_port.hpp"
#include "net/handover/record.hpp"
#include "ports/xdp/rings.hpp"
#include "ports/xdp/taken_memory.hpp"

namespace pollux::xdp {

/// The memory of a port that outlives its program (ADR 25): a file with buffers of its own, all of one size, and in
/// front of them what a successor needs after a crash. The buffers of a queue never change: as many are the kernel's
/// for receiving as the port has posted, and for each one that is sent from, a byte says whether the kernel has it. All
/// else follows from the positions of the rings, which the kernel keeps. The counts of a queue are exchanged by one
/// store, as the record is (KeptFile).
class KeptMemory {
 public:
  static constexpr std::uint64_t kBuffer = 4096;  // bytes: no frame crosses a page
  static constexpr std::size_t kMaxQueues = 64;
  static constexpr std::size_t kCounts = 6;  // of KernelCounts
  static constexpr std::size_t kMaxBuffers = kMaxQueues * 2 * 4096;

  /// Errors: no_memory.
  [[nodiscard]] static Result<FileDescriptor> make_file(const std::string& name, std::size_t buffers);
  /// Maps what is in front of the buffers. Errors: invalid_argument (the file is no such memory), no_memory.
  [[nodiscard]] static Result<std::unique_ptr<KeptMemory>> map(const std::string& name, int file);
  [[nodiscard]] static MemoryPlace place(std::size_t buffers) noexcept;

  /// For each buffer: 1 while the kernel has it to send.
  [[nodiscard]] std::uint8_t* marks() noexcept;

  [[nodiscard]] handover::KeptFile& file() noexcept { return file_; }

  /// Received and sent are descriptors: a frame in several buffers has several.
  using Losses = handover::CrashLosses;
  struct Buffers {
    std::uint64_t first = 0;  ///< address
    std::uint32_t count = 0;
  };
  /// Finds out what of a queue's buffers the kernel has, and gives back to it those that a burst of the crashed program
  /// had taken. Error invalid_argument.
  [[nodiscard]] Result<handover::QueueRecord> recover(std::size_t queue, const Rings& rings, Buffers rx, Buffers tx);
  [[nodiscard]] Losses losses(std::size_t queues) const noexcept;
  /// A program gives the queue up in a planned way: what has happened so far is its own, and in nobody's losses.
  void settle(std::size_t queue, const Rings& rings, const std::vector<std::uint64_t>& counts) noexcept;

 private:
  struct Front;
  struct State;
  explicit KeptMemory(handover::KeptFile file) noexcept;
  [[nodiscard]] State state(std::size_t queue) const noexcept;
  void commit(std::size_t queue, const State& next) noexcept;

  handover::KeptFile file_;
  Front* front_;
};

}  // namespace pollux::xdp
