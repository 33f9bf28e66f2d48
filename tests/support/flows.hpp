// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pollux/net/rx_metadata.hpp"

namespace pollux::test {

/// A broadcast frame (without FCS) and the receive metadata that a card must report for it. Neither the library nor the
/// in-process card calculated these values.
struct KnownFrame {
  std::string name;
  std::vector<std::byte> bytes;
  std::optional<std::uint32_t> hash;  ///< with the key of Microsoft's RSS verification suite
  PacketType type;
  ChecksumStatus ip;
  ChecksumStatus l4;
  std::optional<std::uint32_t> full_hash = {};  ///< if UDP's ports are hashed, too
};

/// Every flow of Microsoft's RSS verification suite over TCP, UDP and neither, with good and with bad checksums, and
/// frames that are not IP. The TCP hashes include the ports; the others include only the addresses.
[[nodiscard]] std::vector<KnownFrame> known_frames();

/// SCTP frames of 60 and 64 bytes with good and bad checksums, and the metadata of a card that checks SCTP. In a frame
/// of 60 bytes, a bad status is not reliable (E-SCTP60).
[[nodiscard]] std::vector<KnownFrame> known_sctp_frames();

/// Whether `mbuf` holds this frame, byte for byte.
[[nodiscard]] bool holds(const Mbuf& mbuf, const KnownFrame& frame);
/// Expects that the receive metadata of `mbuf` are those of `frame`.
void expect_metadata(const Mbuf& mbuf, const KnownFrame& frame);

}  // namespace pollux::test
