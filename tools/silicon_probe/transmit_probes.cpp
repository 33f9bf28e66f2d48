// SPDX-License-Identifier: BSD-3-Clause
// Sending. The partner sends; the port receives where that matters.
#include <fmt/format.h>

#include <array>

#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/igb/phy.hpp"
#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

namespace tx = hw::intel::tx;
namespace phy = hw::igb::phy;

constexpr std::uint64_t kQuietFrame = tx::kInsertCrc;  // no report-status
constexpr Duration kDoneLimit = milliseconds(50);

Result<void> ask_done_bits(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& sender = *ports.partner;
  std::array<std::uint32_t, 3> quiet{};
  for (std::uint32_t& slot : quiet) slot = *sender.put(plain_frame(60), kQuietFrame);
  const std::uint32_t last = *sender.put(plain_frame(60), kQuietFrame | tx::kReportStatus);
  sender.ring_doorbell();
  answer.yes_no("I-TXDONE", "a descriptor with report-status gets its done bit",
                sender.time_until(kDoneLimit, [&] { return sender.sent(last); }).has_value(), true);
  unsigned done = 0;
  for (const std::uint32_t slot : quiet) done += sender.sent(slot) ? 1U : 0U;
  answer.equal("I-TXDONE", "done bits of the 3 descriptors without report-status before it", done, 0);
  return {};
}

Result<void> ask_short_frames(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  if (auto sent = ports.partner->send(plain_frame(reg::kMinTxBytes)); !sent) return sent;
  const auto padded = port.receive(0, 1);
  answer.equal("I-TXMIN", "length of a 17-byte frame that TCTL.PSP pads", padded.empty() ? 0 : padded[0].bytes.size(),
               60);
  port.clear_counters();
  ports.partner->regs().write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::CT(15));
  if (auto sent = ports.partner->send(plain_frame(40)); !sent) return sent;
  answer.equal("I-M-SHORT", "number of frames received after one of 40 bytes was sent without padding",
               port.receive(0, 1).size(), 0);
  answer.equal("I-M-SHORT", "RUC then", port.regs().read_and_clear<reg::RUC>().raw(), 1);
  answer.equal("I-M-SHORT", "RLEC then", port.regs().read_and_clear<reg::RLEC>().raw(), 1);
  answer.note("I-M-SHORT", "RFC then", port.regs().read_and_clear<reg::RFC>().raw());
  return {};
}

// The link is taken down at the PHY, so that the MAC really has none.
Result<void> power_phy(const RawPort& port, bool on) {
  const auto held = drivers::gigabit::SharedResource::acquire(port.card(), drivers::gigabit::Shared::phy);
  if (!held) return tl::unexpected<Error>(held.error());
  auto control = drivers::gigabit::read_phy(port.card(), phy::kControl);
  if (!control) return pass_on(std::move(control));
  const auto off = static_cast<std::uint16_t>(*control | phy::kControlPowerDown);
  const auto power = static_cast<std::uint16_t>(*control & ~phy::kControlPowerDown);
  return drivers::gigabit::write_phy(port.card(), phy::kControl, on ? power : off);
}

Result<void> ask_without_link(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  port.regs().write<reg::CTRL>(port.regs().read<reg::CTRL>().without(reg::CTRL::SLU));
  if (auto powered = power_phy(port, false); !powered) return powered;
  const auto down = [&] { return !port.regs().read<reg::STATUS>().has(reg::STATUS::LU); };
  const bool no_link = port.time_until(milliseconds(2000), down).has_value();
  answer.note("I-M-TXLINK", "STATUS.LU is clear after the PHY was powered down", no_link);
  if (auto opened = port.open_tx(); !opened) return opened;
  std::uint32_t last = 0;
  for (int i = 0; i < 3; ++i) last = *port.put(plain_frame(60), kQuietFrame | tx::kReportStatus);
  port.ring_doorbell();
  port.sleep(kDoneLimit);
  if (no_link) {
    answer.equal("I-M-TXLINK", "TDH after 3 descriptors were armed without a link", port.regs().read<reg::TDH>(0).raw(),
                 0);
    answer.yes_no("I-M-TXLINK", "their done bits set without a link", port.sent(last), false);
  }
  return power_phy(port, true);
}

Result<void> ask_pages(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  ports.port.receive_all();
  if (auto opened = ports.port.open_rx(0, {}); !opened) return opened;
  // A transmit buffer begins at a multiple of 4,096 bytes only now and then, so several offsets are tried.
  unsigned intact = 0;
  constexpr unsigned kTries = 8;
  for (unsigned i = 0; i < kTries; ++i) {
    const Frame frame = plain_frame(1500, static_cast<std::uint8_t>(i));
    const auto slot = ports.partner->put(frame, kQuietFrame | tx::kReportStatus, 1024 * (i + 1));
    ports.partner->ring_doorbell();
    if (!ports.partner->time_until(kDoneLimit, [&] { return ports.partner->sent(*slot); })) continue;
    const auto got = ports.port.receive(0, 1);
    intact += !got.empty() && got[0].bytes == frame ? 1U : 0U;
  }
  answer.equal("I-PAGES", "frames that arrive intact, of 8 in buffers some of which cross a page", intact, kTries);
  return {};
}

Result<void> ask_wrong_fcs(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  port.clear_counters();
  if (auto sent = ports.partner->send(plain_frame(64), tx::kInsertCrc); !sent) return sent;
  answer.equal("I-M-CORRUPT", "number of frames received after one with a wrong FCS was sent, without RCTL.SBP",
               port.receive(0, 1).size(), 0);
  answer.equal("I-M-CORRUPT", "CRCERRS then", port.regs().read_and_clear<reg::CRCERRS>().raw(), 1);
  answer.equal("I-M-CORRUPT", "GPRC then", port.regs().read_and_clear<reg::GPRC>().raw(), 0);
  answer.equal("I-M-CORRUPT", "TPR then", port.regs().read_and_clear<reg::TPR>().raw(), 1);
  return {};
}

constexpr std::array<std::string_view, 1> kDoneTags{"I-TXDONE"};
constexpr std::array<std::string_view, 2> kShortTags{"I-TXMIN", "I-M-SHORT"};
constexpr std::array<std::string_view, 1> kNoLinkTags{"I-M-TXLINK"};
constexpr std::array<std::string_view, 1> kPagesTags{"I-PAGES"};
constexpr std::array<std::string_view, 1> kWrongFcsTags{"I-M-CORRUPT"};
constexpr std::array kTransmitProbes{
    Probe{"done_bits", "Which transmit descriptors get a done bit?", kDoneTags, true, true, ask_done_bits},
    Probe{"short_frames", "What happens to frames under 64 bytes?", kShortTags, true, true, ask_short_frames},
    Probe{"without_link", "What happens to transmit descriptors without a link?", kNoLinkTags, false, true,
          ask_without_link},
    Probe{"pages", "Do transmit buffers across pages arrive intact?", kPagesTags, true, true, ask_pages},
    Probe{"wrong_fcs", "What happens to a frame with a wrong FCS?", kWrongFcsTags, true, true, ask_wrong_fcs},
};

}  // namespace

std::span<const Probe> transmit_probes() { return kTransmitProbes; }

}  // namespace pollux::silicon
