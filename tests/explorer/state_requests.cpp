// SPDX-License-Identifier: BSD-3-Clause
// Frames with offload requests, and the contexts that the card needs for them.
#include <fmt/format.h>

#include <algorithm>

#include "explorer/state.hpp"

namespace pollux::test {

namespace tx = hw::intel::tx;

namespace {

/// The context of each kind of request. A card keeps two, and there are three.
constexpr tx::Context kContexts[] = {
    {.mac_length = 14, .ip_length = 20, .kind = tx::kContextTcp | tx::kContextIpv4},
    {.mac_length = 14, .ip_length = 20, .kind = tx::kContextIpv4},
    {.mac_length = 18, .ip_length = 20, .kind = tx::kContextIpv4},
};
constexpr std::uint64_t kRequestFlags = tx::kInsertIpChecksum | tx::kInsertL4Checksum;

}  // namespace

void State::make_request(Mbuf& frame, std::uint32_t kind) {
  const tx::Context& context = kContexts[kind - 1];
  std::uint8_t* const data = frame.data();
  std::fill_n(data + 8, kWholeBytes - 8, std::uint8_t{0});
  if (context.mac_length == 18) data[12] = 0x81;  // a VLAN tag
  data[context.mac_length - 2] = 0x08;
  data[context.mac_length] = 0x45;
  data[context.mac_length + 3] = static_cast<std::uint8_t>(kWholeBytes - context.mac_length);
  data[context.mac_length + 9] = 6;
  frame.set_tx_offload({.flags = kind == 1 ? TxOffload::tcp_checksum : TxOffload::ipv4_checksum,
                        .vlan = static_cast<std::uint16_t>(kind),
                        .l2 = context.mac_length,
                        .l3 = context.ip_length});
}

void State::use_context(const Descriptor& context) {
  SendingCard& card = own_.sender;
  if (card.in_frame) return violate("a context in the middle of a frame");
  card.contexts[tx::context_of(context).index & 1] = context;
  ++card.sent;
  --card.fetched;
}

void State::check_request(std::uint32_t slot) {
  const std::uint64_t command = own_.sender.read[slot].hi;
  const std::uint32_t kind = own_.wanted[slot];
  if (((command & kRequestFlags) != 0) != (kind != 0))
    return violate(fmt::format("slot {} requests {:#x} from the card", slot, command & kRequestFlags));
  if (kind == 0) return;
  tx::Context expected = kContexts[kind - 1];
  expected.index = static_cast<std::uint32_t>(command >> tx::kContextShift & 1);
  if (own_.sender.contexts[expected.index] != tx::context(expected))
    violate(fmt::format("the card has another context than slot {} needs", slot));
}

}  // namespace pollux::test
