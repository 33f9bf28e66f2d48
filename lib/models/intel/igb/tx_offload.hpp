// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"

namespace pollux::models::igb {

namespace intel = pollux::hw::intel;
namespace hw = pollux::hw::igb;

/// The checksum and segmentation offloads of a transmit request. The frames are made one by one, so that they can wait
/// for the wire. Field updates of segments: 82575 manual, 5.8.7.1 to 5.8.7.3.
class TxOffload {
 public:
  /// PAYLEN has 18 bits; the headers have at most 127 + 511 + 255 bytes.
  static constexpr std::size_t kMaxRequestBytes = intel::tx::kPayloadMask + 127 + 511 + 255;
  /// The flags of a data descriptor that this class performs.
  static constexpr std::uint64_t kFlags =
      intel::tx::kSegment | intel::tx::kInsertIpChecksum | intel::tx::kInsertL4Checksum;

  /// Starts a request, and takes `bytes`. `flags` is the high word of the first data descriptor. False if the context
  /// does not match the bytes; there is then nothing to send. [I-M-BADCONTEXT]
  bool start(std::vector<std::byte>& bytes, std::uint64_t flags, const intel::Descriptor& context);
  [[nodiscard]] bool finished() const noexcept { return sent_ == count_; }
  /// The next frame, without inserted tag and padding. It is valid until the next call. Precondition: not finished.
  [[nodiscard]] std::span<const std::byte> next();
  [[nodiscard]] std::uint64_t flags() const noexcept { return flags_; }
  [[nodiscard]] std::uint16_t vlan() const noexcept { return context_.vlan; }
  void discard() noexcept { sent_ = count_ = 0; }

 private:
  [[nodiscard]] bool asks(std::uint64_t flag) const noexcept { return (flags_ & flag) != 0; }
  [[nodiscard]] bool is_ipv4() const noexcept { return (context_.kind & intel::tx::kContextIpv4) != 0; }
  [[nodiscard]] std::uint64_t layer4() const noexcept { return context_.kind & intel::tx::kL4TypeMask; }
  [[nodiscard]] std::size_t ip_at() const noexcept { return context_.mac_length; }
  [[nodiscard]] std::size_t layer4_at() const noexcept { return ip_at() + context_.ip_length; }
  [[nodiscard]] std::size_t header_bytes() const noexcept { return layer4_at() + context_.l4_length; }
  [[nodiscard]] bool fits() const noexcept;
  [[nodiscard]] bool can_segment() const noexcept;
  void update_headers(std::span<std::byte> segment) const;
  void insert_checksums(std::span<std::byte> frame) const;

  std::vector<std::byte> bytes_;
  std::vector<std::byte> segment_;
  std::uint64_t flags_ = 0;
  intel::tx::Context context_;
  std::size_t count_ = 0;  // frames of this request
  std::size_t sent_ = 0;
};

}  // namespace pollux::models::igb
