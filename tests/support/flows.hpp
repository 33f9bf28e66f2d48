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

/// A broadcast frame (without FCS) and what a card that hashes and checks it must say. Nothing in it was calculated by
/// the library or the in-process card.
struct KnownFrame {
  std::string name;
  std::vector<std::byte> bytes;
  std::optional<std::uint32_t> hash;  ///< with the key of Microsoft's RSS verification suite
  PacketType type;
  ChecksumStatus ip;
  ChecksumStatus l4;
};

/// Every flow of Microsoft's RSS verification suite over TCP, UDP and neither, with good and with bad checksums, and
/// frames that are not IP. The hashes of TCP have the ports in them, all others the addresses alone.
[[nodiscard]] std::vector<KnownFrame> known_frames();

/// SCTP of 60 and of 64 bytes with a good and with a bad checksum, as a card sees it that checks SCTP. Of 60 bytes a
/// bad one is not to be believed (E-SCTP60).
[[nodiscard]] std::vector<KnownFrame> known_sctp_frames();

/// Whether `mbuf` holds this frame, byte for byte.
[[nodiscard]] bool holds(const Mbuf& mbuf, const KnownFrame& frame);
/// Fails the test where what came with `mbuf` is not what `frame` says.
void expect_metadata(const Mbuf& mbuf, const KnownFrame& frame);

}  // namespace pollux::test
