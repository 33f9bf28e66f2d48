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
/// [I-M-CHECKSUM] No bits for fragments, for UDP without a checksum, for a header whose length exceeds the frame, and
/// for TCP and UDP whose pseudo-header has other addresses than the IP header: routing headers with segments left, the
/// home address option, IPv4 source routes. The checks and their bits follow QEMU, igb_core.c, igb_verify_csum_in_sw.
[[nodiscard]] std::uint64_t checksum_status(std::span<const std::byte> frame, const Headers& headers,
                                            hw::RXCSUM::Value control, hw::RFCTL::Value filter) noexcept;

/// SCTP's checksum (RFC 9260, appendix A), least significant byte first on the wire.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

/// Writes the Internet checksum (RFC 1071) of `bytes` at offset `at`. The earlier value of that field is part of the
/// sum, so software may store a pseudo-header's sum there. `add` is added in host byte order. A result of 0 is written
/// as 0xFFFF if `zero_means_none`, as in UDP. Precondition: two bytes from `at` on exist.
void insert_checksum(std::span<std::byte> bytes, std::size_t at, std::size_t add, bool zero_means_none) noexcept;

/// Writes SCTP's checksum of `packet` into its header. Precondition: the packet has 12 bytes.
void insert_sctp_checksum(std::span<std::byte> packet) noexcept;

}  // namespace pollux::models::igb
