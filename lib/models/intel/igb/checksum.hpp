// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;

/// The checksum bits in a write-back's status and errors, as RXCSUM and RFCTL enable them.
/// [I-M-CHECKSUM] No bits for fragments, for UDP without a checksum, and for a header whose length exceeds the frame.
/// The checks and their bits follow QEMU, igb_core.c, igb_verify_csum_in_sw.
[[nodiscard]] std::uint64_t checksum_status(std::span<const std::byte> frame, const Headers& headers,
                                            hw::RXCSUM::Value control, hw::RFCTL::Value filter) noexcept;

/// SCTP's checksum (RFC 9260, appendix A), least significant byte first on the wire.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

}  // namespace pollux::models::igb
