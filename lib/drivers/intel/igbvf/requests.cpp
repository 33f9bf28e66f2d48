// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/requests.hpp"

#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pollux::drivers::igbvf {
namespace {

using hw::igbvf::first_word;
using hw::igbvf::Message;

bool refused(const Words& answer) { return (answer[0] & hw::igbvf::kRefused) != 0; }

/// Sends a request. `what` and `hint` are for the error if it is refused.
Result<void> request(const Card& card, Mailbox& mailbox, std::span<const std::uint32_t> words, std::string_view what,
                     std::string_view hint) {
  const auto answer = mailbox.ask(card, words);
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (!refused(*answer)) return {};
  return fail(ErrorCode::permission_denied,
              fmt::format("{}: the physical function's driver refuses {}", card.name, what), std::string(hint));
}

/// The index of an address in the multicast table: its bits 47:36. Linux igbvf, vf.c, e1000_hash_mc_addr_vf.
std::uint32_t multicast_hash(const MacAddress& mac) noexcept {
  return (std::uint32_t{mac[4]} >> 4 | std::uint32_t{mac[5]} << 4) & 0xFFF;
}

}  // namespace

// Linux igbvf, vf.c, e1000_reset_hw_vf.
Result<std::optional<MacAddress>> reset_function(const Card& card, Mailbox& mailbox) {
  card.regs.write<reg::EIMC>(reg::EIMC::Value(~std::uint32_t{0}));
  card.regs.write<reg::CTRL>(reg::CTRL::RST);
  card.regs.flush();
  if (auto ready = mailbox.wait_until_ready(card); !ready) return pass_on(std::move(ready));
  const std::uint32_t reset = first_word(Message::reset);
  const auto answer = mailbox.ask(card, {&reset, 1});
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (refused(*answer)) return std::optional<MacAddress>();
  MacAddress mac{};
  std::memcpy(mac.data(), &(*answer)[1], mac.size());
  return std::optional(mac);
}

Result<void> request_address(const Card& card, Mailbox& mailbox, const MacAddress& mac) {
  std::array<std::uint32_t, 3> words{first_word(Message::set_address)};
  std::memcpy(&words[1], mac.data(), mac.size());
  return request(card, mailbox, words, fmt::format("the address {}", to_string(mac)),
                 "on the host, assign this address to the function (ip link set NAME vf N mac ADDRESS), or let it "
                 "choose its own (ip link set NAME vf N trust on)");
}

Result<void> request_max_frame(const Card& card, Mailbox& mailbox, std::uint32_t bytes) {
  const std::array<std::uint32_t, 2> words{first_word(Message::set_max_frame), bytes};
  return request(card, mailbox, words, fmt::format("frames of {} bytes", bytes), "use a smaller mtu");
}

Result<void> request_all_multicast(const Card& card, Mailbox& mailbox, bool on) {
  const std::uint32_t word = first_word(Message::set_promiscuous, on ? hw::igbvf::kPromiscuousMulticast : 0);
  return request(card, mailbox, {&word, 1}, "a change of all-multicast mode", "request single groups");
}

Result<void> request_multicast(const Card& card, Mailbox& mailbox, std::span<const MacAddress> groups) {
  Words words{first_word(Message::set_multicast, static_cast<std::uint32_t>(groups.size()))};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    words[1 + i / 2] |= multicast_hash(groups[i]) << (16 * (i % 2));
  }
  return request(card, mailbox, words, "multicast groups", "use set_all_multicast");
}

Result<void> request_vlan(const Card& card, Mailbox& mailbox, std::uint16_t vlan, bool receive) {
  const std::array<std::uint32_t, 2> words{first_word(Message::set_vlan, receive ? 1 : 0), vlan};
  return request(card, mailbox, words, fmt::format("VLAN {}", vlan),
                 "on the host, check whether the function is bound to a VLAN (ip link show), or whether too many VLANs "
                 "are in use");
}

}  // namespace pollux::drivers::igbvf
