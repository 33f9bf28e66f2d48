// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "faked_card.hpp"
#include "hw/igb/descriptors.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::bench {

/// The least code that forwards between the faked card's rings: one line of metadata a frame, no checks, no error, no
/// chain, no pool but a stack. Nothing that works on these rings and keeps metadata can cost less on the same machine,
/// so a ratio to it says more than cycles do.
class LeastLoop {
 public:
  /// Lays out rings and buffers in memory of `context` and writes the ring registers of `card`.
  LeastLoop(Context& context, FakedCard& card);

  struct Buffer {
    std::uint32_t length;
    std::uint32_t status;
    std::array<std::uint8_t, 56> rest_of_line;
    std::array<std::uint8_t, 2240> data;
  };

  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;

 private:
  static constexpr std::uint32_t kRing = 512;
  static constexpr std::uint32_t kBuffers = 8192;
  struct Ring {
    hw::igb::Descriptor* descriptors = nullptr;
    std::array<Buffer*, kRing> slots{};
    std::uint32_t next = 0;
    std::uint32_t clean = 0;
    volatile std::uint32_t* tail = nullptr;
  };

  DmaMemory memory_;
  std::uint64_t to_iova_ = 0;
  Ring rx_;
  Ring tx_;
  std::vector<Buffer*> stack_;
  std::uint32_t top_ = 0;
};

}  // namespace pollux::bench
