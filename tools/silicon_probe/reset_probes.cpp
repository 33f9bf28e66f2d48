// SPDX-License-Identifier: BSD-3-Clause
// The reset, the link and the PHY.
#include <fmt/format.h>

#include <array>

#include "drivers/intel/gigabit/nvm.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "hw/intel/igb/phy.hpp"
#include "silicon_probe/groups.hpp"
#include "silicon_probe/raw_port.hpp"

namespace pollux::silicon {
namespace {

namespace phy = hw::igb::phy;
using drivers::gigabit::Shared;
using drivers::gigabit::SharedResource;

constexpr Duration kPatientLimit = milliseconds(500);
/// Autonegotiation to 1000BASE-T takes about three seconds.
constexpr Duration kNegotiation = milliseconds(4000);
constexpr std::uint32_t kMarkedInterval = 100;
constexpr std::uint32_t kMarkedKib = 32;

reg::EEMNGCTL::Bit done_bit(const RawPort& port) {
  const bool second = port.regs().read<reg::STATUS>().get(reg::STATUS::LAN_ID) == 1;
  return second ? reg::EEMNGCTL::CFG_DONE_1 : reg::EEMNGCTL::CFG_DONE_0;
}

bool has_link(const RawPort& port) { return port.regs().read<reg::STATUS>().has(reg::STATUS::LU); }

/// Sets CTRL.RST without the driver's waits, and reports how long each part takes. Linux, igb_reset_hw_82575, has the
/// order.
Result<void> ask_reset(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  if (auto started = port.start_link(); !started) return started;
  if (ports.partner != nullptr) {
    if (auto started = ports.partner->start_link(); !started) return started;
  }
  const bool link_before = port.time_until(kNegotiation, [&] { return has_link(port); }).has_value();
  if (auto stopped = drivers::gigabit::disable_master(port.card()); !stopped) return stopped;
  regs.write<reg::RXPBS>(reg::RXPBS::SIZE(kMarkedKib));
  regs.write<reg::EITR>(0, reg::EITR::INTERVAL(kMarkedInterval));
  const std::uint32_t rx_kib = regs.read<reg::RXPBS>().get(reg::RXPBS::SIZE);
  const auto done = done_bit(port);
  const Duration start = port.clock().now();
  regs.write<reg::CTRL>(regs.read<reg::CTRL>().with(reg::CTRL::RST));
  regs.bar().flush();
  port.sleep(milliseconds(1));  // Linux selftest: no access within the first millisecond
  const auto since = [&](std::optional<Duration> waited) -> std::optional<Duration> {
    if (!waited) return std::nullopt;
    return port.clock().now() - start;
  };
  answer.within("I-RESET", "CTRL.RST clears",
                since(port.time_until(kPatientLimit, [&] { return !regs.read<reg::CTRL>().has(reg::CTRL::RST); })),
                milliseconds(20));
  const bool link_after = has_link(port);
  answer.within("I-RESET", "EECD.AUTO_RD sets",
                since(port.time_until(kPatientLimit, [&] { return regs.read<reg::EECD>().has(reg::EECD::AUTO_RD); })),
                milliseconds(20));
  answer.within("I-CFGDONE", "EEMNGCTL.CFG_DONE of this port sets",
                since(port.time_until(kPatientLimit, [&] { return regs.read<reg::EEMNGCTL>().has(done); })),
                milliseconds(100));
  answer.note("I-QUEUE0", "RXDCTL[0].ENABLE after the reset", regs.read<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE));
  answer.note("I-QUEUE0", "TXDCTL[0].ENABLE after the reset", regs.read<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE));
  answer.note("I-QUEUE0", "RXDCTL[1].ENABLE after the reset", regs.read<reg::RXDCTL>(1).has(reg::RXDCTL::ENABLE));
  answer.equal("I-M-RESET", "RXPBS.SIZE after the reset", regs.read<reg::RXPBS>().get(reg::RXPBS::SIZE), rx_kib);
  answer.equal("I-M-RESET", "EITR[0].INTERVAL after the reset", regs.read<reg::EITR>(0).get(reg::EITR::INTERVAL),
               kMarkedInterval);
  if (link_before) answer.yes_no("I-M-RESET", "the link stays up through CTRL.RST", link_after, true);
  answer.note_hex("I-PHYRA", "STATUS.PHYRA after the reset", regs.read<reg::STATUS>().has(reg::STATUS::PHYRA) ? 1 : 0);
  regs.write<reg::RXPBS>(reg::RXPBS::SIZE(64));
  return {};
}

Result<void> ask_master(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  answer.note("I-GIOMASTER", "STATUS.GIO_MASTER_ENABLE before",
              regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE));
  regs.write<reg::CTRL>(regs.read<reg::CTRL>().with(reg::CTRL::GIO_MASTER_DISABLE));
  answer.within(
      "I-GIOMASTER", "STATUS.GIO_MASTER_ENABLE clears after CTRL.GIO_MASTER_DISABLE",
      port.time_until(kPatientLimit, [&] { return !regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); }),
      milliseconds(80));
  regs.write<reg::CTRL>(regs.read<reg::CTRL>().without(reg::CTRL::GIO_MASTER_DISABLE));
  answer.note(
      "I-GIOMASTER", "it sets again when CTRL.GIO_MASTER_DISABLE is cleared without a reset",
      port.time_until(milliseconds(20), [&] { return regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); })
          .has_value());
  return {};
}

/// First no SLU, then SLU alone, then what the driver does.
Result<void> ask_link(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  if (ports.partner != nullptr) {
    if (auto started = ports.partner->start_link(); !started) return started;
  }
  regs.write<reg::CTRL>(regs.read<reg::CTRL>().without(reg::CTRL::SLU));
  const auto up = [&] { return has_link(port); };
  answer.yes_no("I-M-SLU", "STATUS.LU sets while CTRL.SLU is clear", port.time_until(kNegotiation, up).has_value(),
                false);
  regs.write<reg::CTRL>(regs.read<reg::CTRL>().with(reg::CTRL::SLU));
  const auto alone = port.time_until(kNegotiation, up);
  answer.yes_no("I-LINK", "STATUS.LU sets by CTRL.SLU alone, without a write to the PHY", alone.has_value(), true);
  answer.yes_no("I-M-PHY", "the PHY negotiates by itself after a reset", alone.has_value(), false);
  if (auto started = port.start_link(); !started) return started;
  answer.within("I-LINK", "STATUS.LU sets after autonegotiation was restarted",
                port.time_until(RawPort::kLinkLimit, [&] { return has_link(port); }), milliseconds(5000));
  const auto status = regs.read<reg::STATUS>();
  answer.note("I-LINK", "STATUS.SPEED", status.get(reg::STATUS::SPEED));
  answer.note("I-LINK", "STATUS.FD", status.has(reg::STATUS::FD));
  return {};
}

/// One register of the PHY at any address; nullopt if MDIC reports an error or no answer.
std::optional<std::uint32_t> phy_word(const RawPort& port, std::uint32_t address, std::uint32_t number) {
  port.regs().write<reg::MDIC>(reg::MDIC::READ | reg::MDIC::REGADD(number) | reg::MDIC::PHYADD(address));
  reg::MDIC::Value said;
  const auto ready = port.time_until(milliseconds(96), [&] {
    said = port.regs().read<reg::MDIC>();
    return said.has(reg::MDIC::READY);
  });
  if (!ready || said.has(reg::MDIC::ERROR)) return std::nullopt;
  return said.get(reg::MDIC::DATA);
}

Result<void> ask_phy(ProbePorts& ports, Answer& answer) {
  const RawPort& port = ports.port;
  const auto held = SharedResource::acquire(port.card(), Shared::phy);
  if (!held) return tl::unexpected<Error>(held.error());
  for (std::uint32_t address = 0; address < 4; ++address) {
    const auto high = phy_word(port, address, phy::kId1);
    const auto low = phy_word(port, address, phy::kId2);
    const bool answers = high && low && !(*high == 0xFFFF && *low == 0xFFFF);
    answer.yes_no("I-PHYADDR", fmt::format("a PHY answers at address {}", address), answers, address == phy::kAddress);
    if (!answers) continue;
    const std::uint32_t id = *high << 16 | *low;
    answer.note_hex("I-PHYID", fmt::format("the identifier at address {}", address), id);
    if (address == phy::kAddress) answer.equal_hex("I-PHYID", "without the revision", id & phy::kIdMask, phy::kId);
  }
  for (const std::uint32_t number : {phy::kPortConfig, phy::kPortStatus, phy::kPortControl, phy::kPowerManagement}) {
    if (const auto value = phy_word(port, phy::kAddress, number)) {
      answer.note_hex("I-PHYID", fmt::format("PHY register {}", number), *value);
    }
  }
  return {};
}

// The addresses themselves are not part of the answer.
Result<void> ask_address(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  std::array<std::uint16_t, 3> words{};
  if (auto read = drivers::gigabit::read_nvm(port.card(), reg::nvm::kMacAddress, words); !read) return read;
  const MacAddress stored = reg::nvm::mac_address(words);
  const MacAddress loaded = port.mac();
  bool head_alike = true;
  for (std::size_t i = 0; i < 5; ++i) head_alike = head_alike && stored[i] == loaded[i];
  answer.yes_no("I-MAC", "the first five bytes of RAL and RAH 0 are those of the NVM", head_alike, true);
  const std::uint32_t lan = port.regs().read<reg::STATUS>().get(reg::STATUS::LAN_ID);
  answer.note("I-MAC", "STATUS.LAN_ID", lan);
  answer.note_hex("I-MAC", "the last byte of RAH 0 xor that of the NVM", loaded[5] ^ stored[5]);
  std::array<std::uint16_t, 1> pointer{};
  if (auto read = drivers::gigabit::read_nvm(port.card(), reg::nvm::kAlternateMacPointer, pointer); !read) return read;
  answer.note_hex("I-MAC", "NVM word 0x37, the pointer to alternate addresses", pointer[0]);
  return {};
}

constexpr std::array<std::string_view, 5> kResetTags{"I-RESET", "I-CFGDONE", "I-QUEUE0", "I-M-RESET", "I-PHYRA"};
constexpr std::array<std::string_view, 1> kMasterTags{"I-GIOMASTER"};
constexpr std::array<std::string_view, 3> kLinkTags{"I-LINK", "I-M-PHY", "I-M-SLU"};
constexpr std::array<std::string_view, 2> kPhyTags{"I-PHYADDR", "I-PHYID"};
constexpr std::array<std::string_view, 1> kAddressTags{"I-MAC"};
constexpr std::array kResetProbes{
    Probe{"reset", "How long does a reset take, and what survives it?", kResetTags, false, false, ask_reset},
    Probe{"master", "What shows that DMA has stopped?", kMasterTags, false, false, ask_master},
    Probe{"link", "What raises STATUS.LU?", kLinkTags, false, false, ask_link},
    Probe{"phy", "At which address is the PHY, and which one is it?", kPhyTags, false, false, ask_phy},
    Probe{"address", "Where does the port's address come from?", kAddressTags, false, false, ask_address},
};

}  // namespace

std::span<const Probe> reset_probes() { return kResetProbes; }

}  // namespace pollux::silicon
