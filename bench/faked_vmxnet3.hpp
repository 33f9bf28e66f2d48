// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/vmware/vmxnet3/descriptors.hpp"

namespace pollux::bench {

/// The memory of one queue, as the driver has told the device of it. All addresses are this process's.
struct Vmxnet3Areas {
  hw::vmxnet3::Descriptor* descriptors = nullptr;
  hw::vmxnet3::Completion* completions = nullptr;
  std::uint32_t size = 0;              ///< descriptors; of a receive queue those of its first ring
  std::uint32_t completions_size = 0;  ///< entries
  std::uint64_t delta = 0;             ///< from the driver's IOVAs to addresses
};

/// The device's side of one queue of a vmxnet3 device, as FakedVirtqueue is a virtio device's: it works on the rings
/// outside the timed part, in order, and completes each frame.
class FakedVmxnet3Queue {
 public:
  FakedVmxnet3Queue() = default;
  explicit FakedVmxnet3Queue(const Vmxnet3Areas& areas) : areas_(areas) {}

  /// Makes the device flush each cache line that it writes or reads, as if the data came from memory.
  void set_cold(bool cold) { cold_ = cold; }
  /// Writes `length` bytes into each of the next `count` buffers of the first ring. Returns how many there were.
  std::uint32_t receive(std::uint32_t count, std::uint32_t length);
  /// Reads all frames that the driver has given, which have one descriptor each. Returns their number.
  std::uint32_t finish_transmits();

 private:
  /// The next descriptor that is the device's; nullptr if there is none.
  [[nodiscard]] const hw::vmxnet3::Descriptor* take(std::uint64_t generation);
  /// Completes the descriptor that was taken last.
  void complete(std::uint64_t low, std::uint64_t high);
  void end_round() const;

  Vmxnet3Areas areas_;
  bool cold_ = false;
  std::uint32_t next_ = 0;  // position of the next descriptor
  std::uint32_t done_ = 0;  // position of the next completion
  volatile std::uint64_t sink_ = 0;
};

}  // namespace pollux::bench
