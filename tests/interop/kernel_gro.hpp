// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "gro_sequences.hpp"

namespace pollux::test {

using FrameBytes = std::vector<std::uint8_t>;

/// A frame after GRO: its bytes as the kernel has them, and the fields of VirtioNetHeader; 0 if it was not merged.
struct MergedFrame {
  FrameBytes bytes;
  std::uint16_t segment_size = 0;
  std::uint8_t segmentation = 0;
  [[nodiscard]] bool operator==(const MergedFrame&) const = default;
};

/// GRO of the running kernel, on a TAP interface in a network namespace of the process's own. The interface receives by
/// NAPI (IFF_NAPI), in a thread that runs only when all frames of a batch are written. Where that is not possible, as
/// in a container, its gro_flush_timeout makes one batch of all frames that are written one after the other: it ends
/// when no more come. Needs root. All failures are exceptions with a message. Thread rule: the thread that creates it
/// uses it.
class KernelGro {
 public:
  /// `udp_and_tcp`: with rx-udp-gro-forwarding. `vxlan`: with an interface that receives VXLAN at UDP port 4789.
  explicit KernelGro(SequenceKind kind);

  /// What the kernel makes of `frames` as one batch, in the order in which it passes them on. Unless
  /// `is_batch_by_sleep`, the kernel also ends a batch at a tick of its clock (jiffies, 4 ms), which may fall into it:
  /// a caller that doubts a result asks again.
  [[nodiscard]] std::vector<MergedFrame> merge(const std::vector<FrameBytes>& frames);
  /// Whether a batch has all its frames, however long it takes to write them.
  [[nodiscard]] bool is_batch_by_sleep() const noexcept { return is_batch_by_sleep_; }

 private:
  void write(const std::vector<FrameBytes>& frames) const;
  [[nodiscard]] bool wait() const;
  /// Adds the number of frames that the result was made of to `seen`.
  [[nodiscard]] MergedFrame read(std::size_t& seen);

  FileDescriptor tap_;
  FileDescriptor last_;  // opened before `socket_`
  FileDescriptor socket_;
  bool is_batch_by_sleep_ = false;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(70000);
};

}  // namespace pollux::test
