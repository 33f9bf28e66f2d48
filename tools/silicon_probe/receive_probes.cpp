// SPDX-License-Identifier: BSD-3-Clause
// Receive queues: formats, buffers, filters, loopback.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/igb/phy.hpp"
#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

namespace rx = hw::intel::rx;

constexpr Duration kSettleTime = milliseconds(50);

/// The setting that clears these bits.
reg::RCTL::Setting without(reg::RCTL::Setting bits) { return {bits.mask(), 0}; }

Result<void> ask_fcs(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all(without(reg::RCTL::SECRC));
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  const Frame frame = plain_frame(60);
  if (auto sent = ports.partner->send(frame); !sent) return sent;
  const auto got = port.receive(0, 1);
  answer.equal("I-CRC", "length of a 60-byte frame without RCTL.SECRC", got.empty() ? 0 : got[0].bytes.size(), 64);
  if (!got.empty() && got[0].bytes.size() == 64) {
    std::uint32_t written = 0;
    std::memcpy(&written, got[0].bytes.data() + 60, sizeof written);
    answer.yes_no("I-CRC", "the last 4 bytes are the frame's FCS", written == fcs_of(frame), true);
  }
  port.receive_all();
  if (auto sent = ports.partner->send(frame); !sent) return sent;
  const auto stripped = port.receive(0, 1);
  answer.equal("I-CRC", "length with RCTL.SECRC", stripped.empty() ? 0 : stripped[0].bytes.size(), 60);
  return {};
}

Result<void> ask_threshold(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  constexpr std::uint32_t kThreshold = 4;
  if (auto opened = port.open_rx(0, {.threshold = kThreshold}); !opened) return opened;
  for (std::uint32_t sent = 0; sent < kThreshold; ++sent) {
    if (auto done = ports.partner->send(plain_frame(60)); !done) return done;
    port.sleep(kSettleTime);
    std::uint32_t written = 0;
    while (written <= sent && port.done(0, written)) ++written;
    answer.note("I-WTHRESH", fmt::format("descriptors written back 50 ms after {} frames, with WTHRESH = 4", sent + 1),
                written);
  }
  port.regs().modify<reg::RXDCTL>(0, reg::RXDCTL::SWFLUSH);
  answer.yes_no("I-M-WTHRESH", "all are written back after RXDCTL.SWFLUSH",
                port.time_until(kSettleTime, [&] { return port.done(0, kThreshold - 1); }).has_value(), true);
  return {};
}

Result<void> ask_format(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  if (auto opened = port.open_rx(0, {.armed = 8, .format = reg::SRRCTL::LEGACY}); !opened) return opened;
  port.regs().write<reg::SRRCTL>(0, reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::BSIZEPACKET(10));
  if (auto sent = ports.partner->send(plain_frame(100)); !sent) return sent;
  const auto got = port.receive(0, 1);
  const bool advanced = !got.empty() && rx::length(got[0].high) == 100;
  answer.note("I-DESCTYPE", "the format of the write-back follows SRRCTL as written after RCTL.RXEN", advanced);
  return {};
}

Result<void> ask_buffer_size(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  constexpr std::uint32_t k256Bytes = 3;
  port.receive_all(reg::RCTL::BSIZE(k256Bytes));
  if (auto opened = port.open_rx(0, {.buffer_kib = 0}); !opened) return opened;
  if (auto sent = ports.partner->send(plain_frame(600)); !sent) return sent;
  const auto got = port.receive(0, 4);
  answer.equal("I-BSIZE", "descriptors for 600 bytes with BSIZEPACKET = 0 and RCTL.BSIZE = 256 bytes", got.size(), 3);
  return {};
}

Result<void> ask_partial_frame(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.regs().write<reg::RLPML>(reg::RLPML::LENGTH(9728));
  port.receive_all(reg::RCTL::LPE);
  if (auto opened = port.open_rx(0, {.armed = 2, .buffer_kib = 1}); !opened) return opened;
  if (auto sent = ports.partner->send(plain_frame(3500)); !sent) return sent;
  port.sleep(kSettleTime);
  answer.yes_no("I-M-RXWHOLE", "a frame of 4 buffers is begun with 2 descriptors", port.done(0, 0), false);
  answer.note("I-M-RXWHOLE", "RDH then", port.regs().read<reg::RDH>(0).raw());
  port.regs().write<reg::RDT>(0, reg::RDT::TAIL(8));
  answer.equal("I-M-RXWHOLE", "descriptors of the frame after 8 were armed", port.receive(0, 4).size(), 4);
  return {};
}

Result<void> ask_unicast_table(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  for (std::uint32_t word = 0; word < reg::kUnicastTableWords; ++word)
    port.regs().write<reg::UTA>(word, reg::UTA::Value(~0U));
  port.receive_all(without(reg::RCTL::UPE));
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  if (auto sent = ports.partner->send(plain_frame(60, 0, 0, kForeignAddress)); !sent) return sent;
  answer.equal("I-UTA", "frames received to a foreign address with every bit of UTA set, without pools",
               port.receive(0, 1).size(), 0);
  if (auto sent = ports.partner->send(plain_frame(60)); !sent) return sent;
  answer.equal("I-UTA", "broadcasts received with the same UTA", port.receive(0, 1).size(), 1);
  return {};
}

Result<void> set_phy_loopback(const RawPort& port, bool on) {
  namespace phy = hw::igb::phy;
  const auto held = drivers::gigabit::SharedResource::acquire(port.card(), drivers::gigabit::Shared::phy);
  if (!held) return tl::unexpected<Error>(held.error());
  constexpr std::uint16_t kLoop = phy::kControlLoopback | phy::kControlFullDuplex | phy::kControlSpeedHigh;
  return drivers::gigabit::write_phy(port.card(), phy::kControl, on ? kLoop : phy::kControlAutonegotiate);
}

Result<std::size_t> own_frames(RawPort& port) {
  if (auto opened = port.open_rx(0, {}); !opened) return pass_on(std::move(opened));
  if (auto opened = port.open_tx(); !opened) return pass_on(std::move(opened));
  static_cast<void>(port.put(plain_frame(60), hw::intel::tx::kInsertCrc | hw::intel::tx::kReportStatus));
  port.ring_doorbell();
  return port.receive(0, 1).size();
}

// Linux, igb_ethtool.c, igb_integrated_phy_loopback, forces speed and duplex of the MAC, too.
Result<void> ask_loopback(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  if (auto started = port.start_link(); !started) return started;
  static_cast<void>(port.wait_for_link());
  port.receive_all(reg::RCTL::LBM_MAC);
  const auto by_mac = own_frames(port);
  if (!by_mac) return tl::unexpected<Error>(by_mac.error());
  answer.equal("I-LOOPBACK", "frames that come back with RCTL.LBM_MAC", *by_mac, 0);
  if (auto again = port.reset(); !again) return again;
  if (auto set = set_phy_loopback(port, true); !set) return set;
  port.regs().write<reg::CTRL>((reg::CTRL::SLU | reg::CTRL::FD | reg::CTRL::FRCSPD | reg::CTRL::FRCDPX) |
                               reg::CTRL::SPEED(2));
  port.sleep(milliseconds(500));
  answer.note("I-LOOPBACK", "STATUS.LU with the PHY in loopback", port.regs().read<reg::STATUS>().has(reg::STATUS::LU));
  port.receive_all();
  const auto by_phy = own_frames(port);
  if (!by_phy) return tl::unexpected<Error>(by_phy.error());
  answer.equal("I-LOOPBACK", "frames that come back with loopback in the PHY (register 0, 0x4140)", *by_phy, 1);
  return set_phy_loopback(port, false);
}

constexpr std::array<std::string_view, 1> kFcsTags{"I-CRC"};
constexpr std::array<std::string_view, 2> kThresholdTags{"I-WTHRESH", "I-M-WTHRESH"};
constexpr std::array<std::string_view, 1> kFormatTags{"I-DESCTYPE"};
constexpr std::array<std::string_view, 1> kSizeTags{"I-BSIZE"};
constexpr std::array<std::string_view, 1> kPartialTags{"I-M-RXWHOLE"};
constexpr std::array<std::string_view, 1> kUnicastTags{"I-UTA"};
constexpr std::array<std::string_view, 1> kLoopbackTags{"I-LOOPBACK"};
constexpr std::array kReceiveProbes{
    Probe{"fcs", "Does the length count the FCS?", kFcsTags, true, true, ask_fcs},
    Probe{"write_back_threshold", "How long do write-backs wait with a threshold of 4?", kThresholdTags, true, true,
          ask_threshold},
    Probe{"descriptor_format", "When is the format of write-backs chosen?", kFormatTags, true, true, ask_format},
    Probe{"buffer_size", "Where does the size of receive buffers come from?", kSizeTags, true, true, ask_buffer_size},
    Probe{"partial_frame", "Is a frame begun without descriptors for all of it?", kPartialTags, true, true,
          ask_partial_frame},
    Probe{"unicast_table", "What does the unicast hash table do without pools?", kUnicastTags, true, true,
          ask_unicast_table},
    Probe{"loopback", "Which loopback brings frames back?", kLoopbackTags, false, true, ask_loopback},
};

}  // namespace

std::span<const Probe> receive_probes() { return kReceiveProbes; }

}  // namespace pollux::silicon
