// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/igb/descriptors.hpp"
#include "models/igb/frame.hpp"
#include "models/igb/register_file.hpp"

namespace pollux::models::igb {

/// Receive side scaling: which hash is taken, its value, and the queue that RETA has for it.
class Rss {
 public:
  explicit Rss(RegisterFile& registers) : registers_(registers) {}

  struct Choice {
    bool enabled = false;
    hw::rx::RssType type = hw::rx::RssType::none;
    std::uint32_t hash = 0;
    std::uint32_t queue = 0;
  };
  [[nodiscard]] Choice choose(std::span<const std::byte> frame, const Headers& headers) const;

 private:
  [[nodiscard]] hw::rx::RssType type(const Headers& headers) const;
  [[nodiscard]] std::uint32_t toeplitz(std::span<const std::byte> input) const;

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
