// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/rx_metadata.hpp"

#include "base/compiler.hpp"
#include "net/virtio_net_header.hpp"

namespace pollux {

POLLUX_COLD RxMetadata::Words RxMetadata::decode(const Mbuf& mbuf) noexcept {
  constexpr std::uint64_t kTag = 0xFFFF;
  Words words{0, 0};
  const RxFormat format = mbuf.rx_format();
  const bool hides_assigned = format == RxFormat::intel_assigned_tag || format == RxFormat::intel_looped_assigned_tag;
  switch (format) {
    case RxFormat::software:
    case RxFormat::software_inner_tag:
    case RxFormat::intel_inner_tag:
    case RxFormat::intel_advanced: words = {mbuf.rx_word(0), mbuf.rx_word(1)}; break;
    // [E-LOOPTAG] Linux, igb_main.c, igb_process_skb_fields, and igbvf, netdev.c, igbvf_receive_skb, which ignores tags
    // of VLANs that the function has not joined.
    case RxFormat::intel_looped_inner_tag:
    case RxFormat::intel_looped_tag:
    case RxFormat::intel_looped_assigned_tag:
    case RxFormat::intel_assigned_tag:
      words = {mbuf.rx_word(0), mbuf.rx_word(1)};
      if (format < RxFormat::intel_extended && (words.high & kLooped) != 0) {
        const std::uint64_t tag = words.high >> kVlanShift;
        words.high = (words.high & ~(kTag << kVlanShift)) | ((tag << 8 | tag >> 8) & kTag) << kVlanShift;
      }
      if (hides_assigned && (words.high >> kVlanShift & kVlanNumber) != 0) words.high &= ~kVlan;
      return words;
    // Linux e1000e, netdev.c, e1000_rx_checksum, and hw.h: besides the packet type, which does not say the protocol,
    // the fields are where the advanced write-back has them.
    case RxFormat::intel_extended: {
      constexpr std::uint64_t kPacketType = std::uint64_t{0xF} << 16;
      constexpr std::uint64_t kIgnoreChecksums = std::uint64_t{1} << 2;
      constexpr std::uint64_t kChecked = std::uint64_t{1} << kIp.checked | std::uint64_t{1} << kL4.checked;
      constexpr std::uint64_t kHash = std::uint64_t{0xFFFFFFFF} << kHashShift | kHashType;
      words = {mbuf.rx_word(0) & kHash, mbuf.rx_word(1) & ~kPacketType};
      if ((words.high & kIgnoreChecksums) != 0) words.high &= ~kChecked;
      return words;
    }
    case RxFormat::virtio_net:
      // If the checksum was partial and the mbuf has no request any more, it was computed or the request was dropped:
      // its status is unknown.
      if ((VirtioNetHeader::of(mbuf).flags & VirtioNetHeader::kDataValid) != 0)
        words.high = std::uint64_t{1} << kL4.checked;
      break;
    case RxFormat::none: break;
  }
  const auto set_partial = [&](std::uint32_t flags, Check check) {
    if ((mbuf.tx_offload().flags & flags) == 0) return;
    words.high |=
        std::uint64_t{1} << check.checked | std::uint64_t{1} << check.error | std::uint64_t{1} << check.partial;
  };
  set_partial(TxOffload::ipv4_checksum, kIp);
  set_partial(TxOffload::kL4Checksums | TxOffload::kSegmentation, kL4);
  return words;
}

}  // namespace pollux
