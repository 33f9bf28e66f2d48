// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/mailbox.hpp"

#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pollux::drivers::igbvf {
namespace {

using reg::V2PMAILBOX;

/// Linux igbvf, mbx.h: E1000_VF_MBX_INIT_TIMEOUT polls, E1000_VF_MBX_INIT_DELAY apart.
constexpr Duration kAnswerLimit = std::chrono::seconds(1);
constexpr Duration kPollInterval = microseconds(500);
/// PF and VF lock the mailbox memory only while they copy a message.
constexpr Duration kLockLimit = milliseconds(100);

constexpr auto kClearedByReading = V2PMAILBOX::PFSTS | V2PMAILBOX::PFACK | V2PMAILBOX::RSTD;

// The physical function may be a port of the same Context, which may run its service on this thread, or on one that
// waits for the port of this function.
template <class Condition>
Result<void> wait_for_driver(const IgbvfCard& card, std::string_view what, Condition condition) {
  auto waited = wait_for(
      card, what, kAnswerLimit,
      [&] {
        if (condition()) return true;
        card.context->scheduler().assist();
        return condition();
      },
      kPollInterval);
  if (!waited && waited.error().code == ErrorCode::timeout) {
    waited.error().hint =
        "bring the physical function's interface up on the host (ip link set NAME up), or start its port in the "
        "program "
        "that drives it and let that program run its Control; otherwise its driver does not answer";
  }
  return waited;
}

bool answers(std::uint32_t word, std::uint32_t request) {
  constexpr std::uint32_t kAnswered = hw::igbvf::kAccepted | hw::igbvf::kRefused;
  return (word & kAnswered) != 0 && hw::igbvf::kind_of(word) == hw::igbvf::kind_of(request);
}

}  // namespace

V2PMAILBOX::Value Mailbox::read_status(const IgbvfCard& card) {
  const auto value = card.regs.read_and_clear<V2PMAILBOX>();
  if (!value.all_ones()) latched_ = latched_ | V2PMAILBOX::Value(value.raw() & kClearedByReading.mask());
  return value;
}

bool Mailbox::take_bit(const IgbvfCard& card, reg::V2PMAILBOX::Bit bit) {
  static_cast<void>(read_status(card));
  const bool was_set = latched_.has(bit);
  latched_ = latched_.without(bit);
  return was_set;
}

// VFU reads back as set only if the physical function does not hold the memory.
Result<void> Mailbox::lock(const IgbvfCard& card) {
  return wait_for(
      card, "the release of the mailbox", kLockLimit,
      [&] {
        card.regs.write<V2PMAILBOX>(V2PMAILBOX::VFU);
        return read_status(card).has(V2PMAILBOX::VFU);
      },
      kPollInterval);
}

// Linux igbvf, mbx.c, e1000_write_mbx_vf: discard earlier messages, write the request, set REQ. Writing REQ without VFU
// also releases the memory.
Result<void> Mailbox::send(const IgbvfCard& card, std::span<const std::uint32_t> request) {
  if (auto locked = lock(card); !locked) return locked;
  latched_ = latched_.without(V2PMAILBOX::PFSTS | V2PMAILBOX::PFACK);
  for (std::uint32_t i = 0; i < request.size(); ++i) card.regs.write<reg::VMBMEM>(i, reg::VMBMEM::Value(request[i]));
  card.regs.write<V2PMAILBOX>(V2PMAILBOX::REQ);
  card.regs.flush();
  return wait_for_driver(card, "the reading of a request by the physical function's driver",
                         [&] { return take_bit(card, V2PMAILBOX::PFACK); });
}

// Linux igbvf, mbx.c, e1000_read_mbx_vf.
Result<Words> Mailbox::receive(const IgbvfCard& card) {
  if (auto locked = lock(card); !locked) return pass_on(std::move(locked));
  Words words{};
  for (std::uint32_t i = 0; i < words.size(); ++i) words[i] = card.regs.read<reg::VMBMEM>(i).raw();
  card.regs.write<V2PMAILBOX>(V2PMAILBOX::ACK);
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return words;
}

Result<Words> Mailbox::ask_once(const IgbvfCard& card, std::span<const std::uint32_t> request) {
  if (auto sent = send(card, request); !sent) return pass_on(std::move(sent));
  Result<Words> answer = Words{};
  auto answered = wait_for_driver(card, "the answer of the physical function's driver", [&] {
    if (!take_bit(card, V2PMAILBOX::PFSTS)) return false;
    answer = receive(card);
    return !answer || answers((*answer)[0], request[0]);
  });
  if (!answered) return pass_on(std::move(answered));
  return answer;
}

// Asks a second time after a timeout: an unsolicited message from the physical function may have overwritten the
// answer.
Result<Words> Mailbox::ask(const IgbvfCard& card, std::span<const std::uint32_t> request) {
  auto answer = ask_once(card, request);
  if (answer || answer.error().code != ErrorCode::timeout) return answer;
  return ask_once(card, request);
}

// Linux igbvf, vf.c, e1000_reset_hw_vf: nothing can be set up while RSTI or RSTD is set.
Result<void> Mailbox::wait_until_ready(const IgbvfCard& card) {
  latched_ = {};
  auto ready = wait_for_driver(card, "the end of the physical function's reset",
                               [&] { return !read_status(card).has_any(V2PMAILBOX::RSTI | V2PMAILBOX::RSTD); });
  latched_ = {};
  return ready;
}

// The physical function also sends a control message when the link changes. That message has kClearToSend set. Linux
// igb, igb_main.c, igb_ping_all_vfs and igb_down.
bool Mailbox::take_reset_notice(const IgbvfCard& card) {
  const auto now = read_status(card);
  if (now.all_ones()) return false;
  if (now.has(V2PMAILBOX::RSTI) || take_bit(card, V2PMAILBOX::RSTD)) return true;
  if (!take_bit(card, V2PMAILBOX::PFSTS)) return false;
  const auto message = receive(card);
  return message && ((*message)[0] & hw::igbvf::kClearToSend) == 0;
}

namespace {

using hw::igbvf::first_word;
using hw::igbvf::Message;

bool refused(const Words& answer) { return (answer[0] & hw::igbvf::kRefused) != 0; }

/// Sends a request. `what` and `hint` are for the error if it is refused.
Result<void> request(const IgbvfCard& card, Mailbox& mailbox, std::span<const std::uint32_t> words,
                     std::string_view what, std::string_view hint) {
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
Result<std::optional<MacAddress>> reset_function(const IgbvfCard& card, Mailbox& mailbox) {
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

Result<void> request_address(const IgbvfCard& card, Mailbox& mailbox, const MacAddress& mac) {
  std::array<std::uint32_t, 3> words{first_word(Message::set_address)};
  std::memcpy(&words[1], mac.data(), mac.size());
  return request(card, mailbox, words, fmt::format("the address {}", to_string(mac)),
                 "on the host, assign this address to the function (ip link set NAME vf N mac ADDRESS), or let it "
                 "choose its own (ip link set NAME vf N trust on)");
}

Result<void> request_max_frame(const IgbvfCard& card, Mailbox& mailbox, std::uint32_t bytes) {
  const std::array<std::uint32_t, 2> words{first_word(Message::set_max_frame), bytes};
  return request(card, mailbox, words, fmt::format("frames of {} bytes", bytes), "use a smaller mtu");
}

Result<void> request_all_multicast(const IgbvfCard& card, Mailbox& mailbox, bool on) {
  const std::uint32_t word = first_word(Message::set_promiscuous, on ? hw::igbvf::kPromiscuousMulticast : 0);
  return request(card, mailbox, {&word, 1}, "a change of all-multicast mode", "request single groups");
}

Result<void> request_multicast(const IgbvfCard& card, Mailbox& mailbox, std::span<const MacAddress> groups) {
  Words words{first_word(Message::set_multicast, static_cast<std::uint32_t>(groups.size()))};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    words[1 + i / 2] |= multicast_hash(groups[i]) << (16 * (i % 2));
  }
  return request(card, mailbox, words, "multicast groups", "use set_all_multicast");
}

Result<void> request_vlan(const IgbvfCard& card, Mailbox& mailbox, std::uint16_t vlan, bool receive) {
  const std::array<std::uint32_t, 2> words{first_word(Message::set_vlan, receive ? 1 : 0), vlan};
  return request(card, mailbox, words, fmt::format("VLAN {}", vlan),
                 "on the host, check whether the function is bound to a VLAN (ip link show), or whether too many VLANs "
                 "are in use");
}

}  // namespace pollux::drivers::igbvf
