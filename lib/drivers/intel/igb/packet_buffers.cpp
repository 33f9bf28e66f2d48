// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/packet_buffers.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kUnit = 1024;

constexpr std::uint32_t rounded_up(std::uint32_t bytes) noexcept { return (bytes + kUnit - 1) / kUnit * kUnit; }

}  // namespace

// The largest sizes are those after power-on. For the smallest one, flow
// control needs room for two of the longest frames above the high mark and for a mark below it.
PacketBufferLimits packet_buffer_limits(const hw::igb::CardTraits& card) noexcept {
  return {.unit = kUnit,
          .min = {.receive = rounded_up(2 * card.max_frame + kUnit), .transmit = rounded_up(card.max_frame)},
          .max = {.receive = card.receive_buffer, .transmit = card.transmit_buffer}};
}

// A reset by CTRL.RST keeps the sizes (I-M-RESET), a function level reset may not, so each start writes them.
void PacketBufferSizes::write(const PacketBuffers& sizes) {
  if (!initial_) {
    if (sizes == PacketBuffers{}) return;
    const Initial initial{read_with_retry<reg::RXPBS>(card_), read_with_retry<reg::TXPBS>(card_)};
    if (initial.receive.all_ones() || initial.transmit.all_ones()) return;
    initial_ = initial;
  }
  card_.regs.write<reg::RXPBS>(sizes.receive == 0 ? initial_->receive
                                                  : reg::RXPBS::Value(reg::RXPBS::SIZE(sizes.receive / kUnit)));
  card_.regs.write<reg::TXPBS>(sizes.transmit == 0 ? initial_->transmit : reg::TXPBS::Value(sizes.transmit / kUnit));
}

std::uint32_t PacketBufferSizes::receive_bytes(const PacketBuffers& sizes) const {
  if (sizes.receive != 0) return sizes.receive;
  const auto size = initial_ ? initial_->receive : read_with_retry<reg::RXPBS>(card_);
  return size.all_ones() ? 0 : size.get(reg::RXPBS::SIZE) * kUnit;
}

}  // namespace pollux::drivers::igb
