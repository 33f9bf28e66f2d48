// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/mailbox.hpp"

namespace pollux::drivers::igb {
namespace {

using P2V = reg::P2VMAILBOX;

// PFU reads back as set only if the function does not hold the memory. A function holds it while it writes a message,
// which it has done when its request arrives; so one that still holds it is told to release it (RVFU).
// RVFU also drops a request that waits, so a message of ours waits instead (Linux, e1000_mbx.c,
// igb_obtain_mbx_lock_pf).
enum class IfHeld : bool { give_up, revoke };

bool lock(const Card& card, unsigned function, IfHeld what) {
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
MailboxEvents take_mailbox_events(const Card& card, unsigned count) {
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

bool take_reset(const Card& card, unsigned function) {
  const auto resets = card.regs.read<reg::VFLRE>();
  const std::uint32_t own = 1U << function;
  if (resets.all_ones() || (resets.get(reg::VFLRE::POOLS) & own) == 0) return false;
  card.regs.write<reg::VFLRE>(reg::VFLRE::POOLS(own));
  return true;
}

// Linux, e1000_mbx.c, igb_read_mbx_pf: the write of ACK without PFU also releases the memory.
std::optional<MailboxWords> read_message(const Card& card, unsigned function) {
  if (!lock(card, function, IfHeld::revoke)) return std::nullopt;
  MailboxWords words{};
  const auto first = static_cast<std::uint32_t>(function * words.size());
  for (std::uint32_t i = 0; i < words.size(); ++i) words[i] = card.regs.read<reg::VMBMEM>(first + i).raw();
  card.regs.write<P2V>(function, P2V::ACK);
  return words;
}

// Linux, e1000_mbx.c, igb_write_mbx_pf.
bool write_message(const Card& card, unsigned function, std::span<const std::uint32_t> words) {
  if (!lock(card, function, IfHeld::give_up)) return false;
  const auto first = static_cast<std::uint32_t>(function * hw::igbvf::kMessageWords);
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    card.regs.write<reg::VMBMEM>(first + i, reg::VMBMEM::Value(words[i]));
  }
  card.regs.write<P2V>(function, P2V::STS);
  return true;
}

}  // namespace pollux::drivers::igb
