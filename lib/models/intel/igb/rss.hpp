// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

namespace intel = pollux::hw::intel;

/// Receive side scaling: selects the hash type, computes the hash, and looks up the queue in RETA.
class Rss {
 public:
  explicit Rss(RegisterFile& registers) : registers_(registers) {}

  struct Choice {
    bool enabled = false;
    intel::rx::RssType type = intel::rx::RssType::none;
    std::uint32_t hash = 0;
    std::uint32_t queue = 0;
  };
  [[nodiscard]] Choice choose(std::span<const std::byte> frame, const Headers& headers) const;

 private:
  [[nodiscard]] intel::rx::RssType type(const Headers& headers) const;
  [[nodiscard]] std::uint32_t toeplitz(std::span<const std::byte> input) const;

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
