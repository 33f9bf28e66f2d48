// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// [I-FTQF] The filters that send TCP, UDP and SCTP packets to a queue: by their five-tuple (FTQF, SAQF, DAQF, SPQF,
/// IMIR, IMIREXT) and by TCP's SYN flag (SYNQF).
class QueueFilters {
 public:
  explicit QueueFilters(RegisterFile& registers) : registers_(registers) {}
  /// The queue of the filter that takes precedence; nullopt if none matches.
  [[nodiscard]] std::optional<std::uint32_t> queue(std::span<const std::byte> frame, const Headers& headers) const;

 private:
  [[nodiscard]] std::optional<std::uint32_t> syn(std::span<const std::byte> frame, const Headers& headers) const;
  [[nodiscard]] std::optional<std::uint32_t> five_tuple(std::span<const std::byte> frame, const Headers& headers) const;
  [[nodiscard]] bool matches(std::uint32_t index, std::span<const std::byte> frame, const Headers& headers) const;

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
