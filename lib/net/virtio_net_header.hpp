// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstring>

#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// The header that virtio-net and TAP put before a frame, in host byte order (virtio 1.2, 5.1.6; Linux,
/// include/uapi/linux/virtio_net.h, virtio_net_hdr). The words of an mbuf with RxFormat::virtio_net are these bytes.
struct VirtioNetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  ///< VIRTIO_NET_HDR_F_NEEDS_CSUM
  static constexpr std::uint8_t kDataValid = 2;      ///< VIRTIO_NET_HDR_F_DATA_VALID
  /// Values of `segmentation`: VIRTIO_NET_HDR_GSO_*.
  static constexpr std::uint8_t kTcpOverIpv4 = 1;
  static constexpr std::uint8_t kTcpOverIpv6 = 4;
  static constexpr std::uint8_t kUdp = 5;
  static constexpr std::uint8_t kWithCwr = 0x80;  ///< CWR is set, and belongs to the first segment

  std::uint8_t flags = 0;
  std::uint8_t segmentation = 0;
  std::uint16_t header_length = 0;
  std::uint16_t segment_size = 0;
  std::uint16_t checksum_start = 0;   ///< bytes before the checksummed part
  std::uint16_t checksum_offset = 0;  ///< from there to the checksum field

  [[nodiscard]] static VirtioNetHeader of(const Mbuf& mbuf) noexcept {
    const std::uint64_t words[] = {mbuf.rx_word(0), mbuf.rx_word(1)};
    VirtioNetHeader header;
    std::memcpy(&header, words, sizeof header);
    return header;
  }
  void attach_to(Mbuf& mbuf) const noexcept {
    std::uint64_t words[2] = {};
    std::memcpy(words, this, sizeof *this);
    mbuf.set_rx_words(RxFormat::virtio_net, words[0], words[1]);
  }
};
static_assert(sizeof(VirtioNetHeader) == 10);

}  // namespace pollux
