// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "drivers/intel/igb/functions.hpp"
#include "net/port_identity.hpp"
#include "net/settings_check.hpp"

// The requests of virtual functions. Whatever is in a message is untrusted.
namespace pollux::drivers::igb {
namespace {

using P2V = reg::P2VMAILBOX;

// PFU reads back as set only if the function does not hold the memory. A function holds it while it writes a message,
// which it has done when its request arrives; so one that still holds it is told to release it (RVFU).
// RVFU also drops a request that waits, so a message of ours waits instead (Linux, e1000_mbx.c,
// igb_obtain_mbx_lock_pf).
enum class IfHeld : bool { give_up, revoke };

bool lock(const IgbCard& card, unsigned function, IfHeld what) {
  for (const bool revoke : {false, true}) {
    if (revoke && what == IfHeld::give_up) return false;
    if (revoke) card.regs.write<P2V>(function, P2V::RVFU);
    card.regs.write<P2V>(function, P2V::PFU);
    const auto value = card.regs.read<P2V>(function);
    if (!value.all_ones() && value.has(P2V::PFU)) return true;
  }
  return false;
}

}  // namespace

// Linux, e1000_mbx.c, igb_check_for_rst_pf, igb_check_for_msg_pf and igb_check_for_ack_pf. A function announces itself
// after its reset, so the resets are read last: a reset read earlier could be an older one than the announcement, and
// the next call would then take the newer one for the end of the announced driver.
MailboxEvents take_mailbox_events(const IgbCard& card, unsigned count) {
  const auto causes = card.regs.read<reg::MBVFICR>();
  const auto resets = card.regs.read<reg::VFLRE>();
  if (resets.all_ones() || causes.all_ones()) return {};
  if (resets.raw() != 0) card.regs.write<reg::VFLRE>(resets);
  if (causes.raw() != 0) card.regs.write<reg::MBVFICR>(causes);
  const std::uint32_t existing = (1U << count) - 1;
  return {.resets = resets.get(reg::VFLRE::POOLS) & existing,
          .requests = causes.get(reg::MBVFICR::REQUEST) & existing,
          .acknowledgements = causes.get(reg::MBVFICR::ACKNOWLEDGE) & existing};
}

bool take_reset(const IgbCard& card, unsigned function) {
  const auto resets = card.regs.read<reg::VFLRE>();
  const std::uint32_t own = 1U << function;
  if (resets.all_ones() || (resets.get(reg::VFLRE::POOLS) & own) == 0) return false;
  card.regs.write<reg::VFLRE>(reg::VFLRE::POOLS(own));
  return true;
}

// Linux, e1000_mbx.c, igb_read_mbx_pf: the write of ACK without PFU also releases the memory.
std::optional<MailboxWords> read_message(const IgbCard& card, unsigned function) {
  if (!lock(card, function, IfHeld::revoke)) return std::nullopt;
  MailboxWords words{};
  const auto first = static_cast<std::uint32_t>(function * words.size());
  for (std::uint32_t i = 0; i < words.size(); ++i) words[i] = card.regs.read<reg::VMBMEM>(first + i).raw();
  card.regs.write<P2V>(function, P2V::ACK);
  return words;
}

// Linux, e1000_mbx.c, igb_write_mbx_pf.
bool write_message(const IgbCard& card, unsigned function, std::span<const std::uint32_t> words) {
  if (!lock(card, function, IfHeld::give_up)) return false;
  const auto first = static_cast<std::uint32_t>(function * hw::igbvf::kMessageWords);
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    card.regs.write<reg::VMBMEM>(first + i, reg::VMBMEM::Value(words[i]));
  }
  card.regs.write<P2V>(function, P2V::STS);
  return true;
}

namespace {

using hw::igbvf::Message;
using Refused = VirtualFunctionRefusal;

/// Information of set_address: Linux igb, e1000_mbx.h, E1000_VF_MAC_FILTER_CLR and _ADD.
constexpr std::uint32_t kRemoveOthers = 1;
constexpr std::uint32_t kAddOther = 2;
constexpr std::uint32_t kVlanMask = 0xFFF;

std::uint32_t information_of(std::uint32_t word) noexcept { return word >> hw::igbvf::kInformationShift & 0xFF; }

MacAddress address_in(const MailboxWords& words) noexcept {
  MacAddress mac{};
  std::memcpy(mac.data(), &words[1], mac.size());
  return mac;
}

}  // namespace

// Linux, igb_main.c, igb_vf_reset_event.
void FunctionControl::on_reset(unsigned number) {
  ++functions_[number].state.resets;
  change_requests([&] { forget_requests(number); });
  write(number);
}

// Linux, igb_main.c, igb_rcv_msg_from_vf. A message that is an answer of ours needs none.
void FunctionControl::on_request(unsigned number) {
  VirtualFunctionState& state = functions_[number].state;
  const auto words = read_message(card_, number);
  if (!words) {
    state.driver_up = false;
    ++state.refused[static_cast<std::size_t>(Refused::mailbox_held)];
    return write_traffic();
  }
  ++state.requests;
  if (((*words)[0] & (hw::igbvf::kAccepted | hw::igbvf::kRefused)) != 0) return;
  if (hw::igbvf::kind_of((*words)[0]) == Message::control) return;  // ours, which has replaced a request
  if ((*words)[0] == static_cast<std::uint32_t>(Message::reset)) return answer_reset(number);
  const Refusal refusal = state.driver_up ? carry_out(number, *words) : Refused::not_ready;
  if (refusal) ++state.refused[static_cast<std::size_t>(*refusal)];
  std::uint32_t answer = (*words)[0] & (hw::igbvf::kKindMask | 0xFFU << hw::igbvf::kInformationShift);
  answer |= refusal ? hw::igbvf::kRefused : hw::igbvf::kAccepted;
  if (state.driver_up) answer |= hw::igbvf::kClearToSend;
  send(number, {&answer, 1});
}

// Linux, igb_main.c, igb_vf_reset_msg. A function announces itself after its reset. Where its last request came late
// and was repeated, the announcement may be read before the event of that reset, which must not end the announced
// driver.
void FunctionControl::answer_reset(unsigned number) {
  VirtualFunctionState& state = functions_[number].state;
  if (take_reset(card_, number)) ++state.resets;
  change_requests([&] { forget_requests(number); });
  write_traffic();
  clear_queues(number);  // it programs them when it has the answer
  state.driver_up = true;
  ++state.announcements;
  write(number);
  std::array<std::uint32_t, 3> words{hw::igbvf::first_word(Message::reset)};
  const auto mac = mac_of(number);
  if (mac) std::memcpy(&words[1], mac->data(), mac->size());
  words[0] |= mac ? hw::igbvf::kAccepted : hw::igbvf::kRefused;
  send(number, words);
}

// Linux, igb_main.c, igb_rcv_ack_from_vf. Without a link, Linux's igbvf reads what is in its mailbox every 2 s, whether
// it is new or not. It takes the link for up when it finds kClearToSend, and announces itself again when it finds
// kRefused, or kClearToSend after an answer that came too late (vf.c, e1000_check_for_link_vf). The answer to an
// announcement has neither flag. So a second reading gets a message that has one of them; otherwise a driver that
// missed that answer would wait until the link changes.
void FunctionControl::on_acknowledgement(unsigned number, bool has_requested) {
  Function& function = functions_[number];
  if (std::exchange(function.is_unread, false) || function.tells_state) return;
  if (has_requested) return;  // the answer will tell it, and a message now would replace the request
  if (function.state.driver_up) return send_control(number);
  const std::uint32_t not_ready = hw::igbvf::kRefused;
  send(number, {&not_ready, 1});
}

FunctionControl::Refusal FunctionControl::carry_out(unsigned number, const MailboxWords& words) {
  switch (hw::igbvf::kind_of(words[0])) {
    case Message::set_address: return request_address(number, words);
    case Message::set_multicast: return request_multicast(number, words);
    case Message::set_vlan: return request_vlan(number, words);
    case Message::set_max_frame: return request_max_frame(number, words[1]);
    case Message::set_promiscuous: return request_promiscuous(number, words[0]);
    default: return Refused::unknown_request;
  }
}

// Linux, igb_main.c, igb_set_vf_mac_addr.
FunctionControl::Refusal FunctionControl::request_address(unsigned number, const MailboxWords& words) {
  const std::uint32_t action = information_of(words[0]);
  const MacAddress mac = address_in(words);
  if (action != kRemoveOthers) {
    if (config(number).mac && !config(number).trusted) return Refused::address_is_set;
    if (!is_station_address(mac)) return Refused::invalid_address;
  }
  if (action != 0) return request_other_address(number, action, mac);
  change_requests([&] { functions_[number].requests.mac = mac; });
  return {};
}

// Linux, igb_main.c, igb_set_vf_mac_filter.
FunctionControl::Refusal FunctionControl::request_other_address(unsigned number, std::uint32_t action,
                                                                const MacAddress& mac) {
  if (action == kRemoveOthers) {
    change_requests([&] { functions_[number].requests.addresses.clear(); });
    return {};
  }
  if (action != kAddOther) return Refused::unknown_request;
  const auto is_used = [this](std::uint32_t index) {
    return std::any_of(functions_.begin(), functions_.end(),
                       [index](const Function& one) { return one.requests.addresses.contains(index); });
  };
  std::uint32_t index = 1;
  while (is_used(index)) ++index;
  if (index >= card_.traits->exact_addresses - count()) return Refused::too_many_addresses;
  change_requests([&] { functions_[number].requests.addresses[index] = mac; });
  return {};
}

// Linux, igb_main.c, igb_set_vf_multicasts: of more than 30 groups it takes the first 30 and lets all pass.
FunctionControl::Refusal FunctionControl::request_multicast(unsigned number, const MailboxWords& words) {
  const std::size_t requested = information_of(words[0]);
  std::vector<std::uint16_t> hashes(std::min(requested, hw::igbvf::kMaxMulticast));
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    hashes[i] = static_cast<std::uint16_t>(words[1 + i / 2] >> 16 * (i % 2) & 0xFFF);
  }
  change_requests([&] {
    functions_[number].requests.many_groups = requested > hw::igbvf::kMaxMulticast;
    functions_[number].requests.groups = std::move(hashes);
  });
  write_limits(number);
  return {};
}

// Linux, igb_main.c, igb_rcv_msg_from_vf and igb_set_vf_vlan_msg.
FunctionControl::Refusal FunctionControl::request_vlan(unsigned number, const MailboxWords& words) {
  if (config(number).vlan != 0) return Refused::vlan_is_set;
  const auto vlan = static_cast<std::uint16_t>(words[1] & kVlanMask);
  if (vlan == 0) return {};  // a priority tag, which always passes
  if (!check_vlan(card_.name, vlan)) return Refused::invalid_vlan;
  if (!request_vlan(number, vlan, information_of(words[0]) != 0)) return Refused::too_many_vlans;
  return {};
}

// Linux, igb_main.c, igb_set_vf_rlpml, which takes any length.
FunctionControl::Refusal FunctionControl::request_max_frame(unsigned number, std::uint32_t bytes) {
  if (bytes < hw::igb::kMinFrameBytes || bytes > card_.traits->max_frame) return Refused::invalid_frame_length;
  functions_[number].requests.max_frame = bytes;
  write_limits(number);
  return {};
}

// Linux, igb_main.c, igb_set_vf_promisc.
FunctionControl::Refusal FunctionControl::request_promiscuous(unsigned number, std::uint32_t word) {
  const std::uint32_t modes = information_of(word);
  if ((modes & ~hw::igbvf::kPromiscuousMulticast) != 0) return Refused::promiscuous;
  change_requests([&] { functions_[number].requests.all_multicast = modes != 0; });
  write_limits(number);
  return {};
}

// A function that holds its mailbox misses the message.
void FunctionControl::send(unsigned number, std::span<const std::uint32_t> words) {
  if (!write_message(card_, number, words)) return;
  functions_[number].is_unread = true;
  functions_[number].tells_state = (words[0] & (hw::igbvf::kClearToSend | hw::igbvf::kRefused)) != 0;
}

void FunctionControl::send_control(unsigned number) {
  const bool ready = functions_[number].state.driver_up;
  const std::uint32_t word = hw::igbvf::first_word(hw::igbvf::Message::control) | (ready ? hw::igbvf::kClearToSend : 0);
  send(number, {&word, 1});
}

}  // namespace pollux::drivers::igb
