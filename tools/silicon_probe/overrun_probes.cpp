// SPDX-License-Identifier: BSD-3-Clause
// Counters, and frames that find no descriptor.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

constexpr Duration kArrivalTime = milliseconds(50);

Result<void> send_many(const ProbePorts& ports, unsigned count, std::size_t bytes = 60) {
  for (unsigned i = 0; i < count; ++i) {
    if (auto sent = ports.partner->send(plain_frame(bytes, static_cast<std::uint8_t>(i))); !sent) return sent;
  }
  return {};
}

/// What the card counted since the last call, under `tag`.
void note_counters(const RawPort& port, Answer& answer, std::string_view tag, std::string_view when) {
  const reg::Registers& regs = port.regs();
  answer.note(tag, fmt::format("GPRC {}", when), regs.read_and_clear<reg::GPRC>().raw());
  answer.note(tag, fmt::format("TPR {}", when), regs.read_and_clear<reg::TPR>().raw());
  answer.note(tag, fmt::format("MPC {}", when), regs.read_and_clear<reg::MPC>().raw());
  answer.note(tag, fmt::format("RNBC {}", when), regs.read_and_clear<reg::RNBC>().raw());
}

Result<void> ask_octets(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  port.clear_counters();
  constexpr unsigned kFrames = 10;
  constexpr std::size_t kBytes = 1000;
  if (auto sent = send_many(ports, kFrames, kBytes); !sent) return sent;
  port.sleep(kArrivalTime);
  answer.equal("I-OCTETS", "GORCL after 10 frames of 1,004 bytes with FCS", regs.read_and_clear<reg::GORCL>().raw(),
               kFrames * (kBytes + 4));
  answer.note("I-OCTETS", "GORCL, read again before GORCH", regs.read_and_clear<reg::GORCL>().raw());
  answer.equal("I-OCTETS", "GORCH then", regs.read_and_clear<reg::GORCH>().raw(), 0);
  answer.equal("I-OCTETS", "GORCL after both were read", regs.read_and_clear<reg::GORCL>().raw(), 0);
  if (auto sent = send_many(ports, kFrames, kBytes); !sent) return sent;
  port.sleep(kArrivalTime);
  regs.read_and_clear<reg::GORCH>();
  answer.note("I-OCTETS", "GORCL, read after GORCH, after 10 more frames", regs.read_and_clear<reg::GORCL>().raw());
  return {};
}

Result<void> ask_dropped(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  port.receive_all();
  if (auto opened = port.open_rx(0, {.armed = 4, .format = reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::DROP_EN}); !opened)
    return opened;
  port.clear_counters();
  regs.read_and_clear<reg::ICR>();
  if (auto sent = send_many(ports, 20); !sent) return sent;
  port.sleep(kArrivalTime);
  answer.equal("I-RQDPC", "RQDPC after 20 frames for 4 descriptors, with DROP_EN",
               regs.read_and_clear<reg::RQDPC>(0).raw(), 16);
  answer.equal("I-RQDPC", "RQDPC, read again", regs.read_and_clear<reg::RQDPC>(0).raw(), 0);
  answer.equal("I-OVERRUN", "GPRC after these 20 frames", regs.read_and_clear<reg::GPRC>().raw(), 20);
  note_counters(port, answer, "I-M-MISSED", "after these 20 frames, with GPRC already read");
  answer.note("I-OVERRUN", "ICR.RXO after these 20 frames", regs.read_and_clear<reg::ICR>().has(reg::ICR::RXO));
  constexpr unsigned kMany = 5000;
  if (auto sent = send_many(ports, kMany); !sent) return sent;
  port.sleep(kArrivalTime);
  answer.note("I-RQDPC", "RQDPC after 5,000 more dropped frames (12 bits hold 4,095)",
              regs.read_and_clear<reg::RQDPC>(0).raw());
  return {};
}

Result<void> ask_waiting(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  port.receive_all();
  if (auto opened = port.open_rx(0, {.armed = 4}); !opened) return opened;
  port.clear_counters();
  if (auto sent = send_many(ports, 10); !sent) return sent;
  port.sleep(kArrivalTime);
  note_counters(port, answer, "I-M-BUFFER", "after 10 frames for 4 descriptors, without DROP_EN");
  regs.write<reg::RDT>(0, reg::RDT::TAIL(16));
  answer.equal("I-M-BUFFER", "frames received after more descriptors were armed", port.receive(0, 10).size(), 10);
  note_counters(port, answer, "I-M-BUFFER", "after these frames were received");
  return {};
}

Result<void> ask_disabled_queue(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  port.clear_counters();
  if (auto sent = send_many(ports, 5); !sent) return sent;
  port.sleep(kArrivalTime);
  answer.note("I-M-QOFF", "RQDPC[0] after 5 frames for a disabled queue",
              port.regs().read_and_clear<reg::RQDPC>(0).raw());
  note_counters(port, answer, "I-M-QOFF", "after these 5 frames");
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  answer.equal("I-M-QOFF", "number of these frames that are received when the queue is enabled afterwards",
               port.receive(0, 5).size(), 0);
  return {};
}

// IEEE 802.3, annex 31B: opcode 1, a pause of 0xFFFF.
Frame pause_frame() {
  Frame frame = plain_frame(60, 0, 0, MacAddress{0x01, 0x80, 0xC2, 0, 0, 0x01});
  std::fill(frame.begin() + 12, frame.end(), std::uint8_t{0});
  frame[12] = 0x88;
  frame[13] = 0x08;
  frame[15] = 0x01;
  frame[16] = 0xFF;
  frame[17] = 0xFF;
  return frame;
}

// RCTL.PMCF is clear, so the card consumes the frame.
Result<void> ask_pause(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  regs.write<reg::FCAL>(reg::FCAL::Value(0x00C28001));
  regs.write<reg::FCAH>(reg::FCAH::ADDRESS(0x0100));
  regs.write<reg::FCT>(reg::FCT::TYPE(0x8808));
  regs.modify<reg::CTRL>(reg::CTRL::RFCE);
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  port.clear_counters();
  if (auto sent = ports.partner->send(pause_frame()); !sent) return sent;
  port.sleep(kArrivalTime);
  answer.equal("I-M-PAUSE", "XOFFRXC after one pause frame", regs.read_and_clear<reg::XOFFRXC>().raw(), 1);
  answer.equal("I-M-PAUSE", "TPR then", regs.read_and_clear<reg::TPR>().raw(), 1);
  answer.equal("I-M-PAUSE", "GPRC then", regs.read_and_clear<reg::GPRC>().raw(), 0);
  answer.note("I-M-PAUSE", "pause frames that reached the queue", port.receive(0, 1).size());
  return {};
}

Result<void> ask_low_water(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  port.receive_all();
  constexpr std::uint32_t kArmed = 20;
  constexpr std::uint32_t kThreshold = 16;  // RDMTS = 1
  if (auto opened = port.open_rx(0, {.armed = kArmed, .format = reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::RDMTS(1)});
      !opened)
    return opened;
  regs.read_and_clear<reg::ICR>();
  std::uint64_t left = 0;
  for (std::uint32_t sent = 1; sent < kArmed && left == 0; ++sent) {
    if (auto done = send_many(ports, 1); !done) return done;
    port.sleep(milliseconds(5));
    if (regs.read_and_clear<reg::ICR>().has(reg::ICR::RXDMT0)) left = kArmed - sent;
  }
  answer.equal("I-M-RDMTS", "free descriptors when ICR.RXDMT0 was raised, with RDMTS = 1", left, kThreshold);
  return {};
}

Result<void> ask_many(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  constexpr unsigned kFrames = 2000;
  unsigned empty = 0;
  unsigned intact = 0;
  for (unsigned i = 0; i < kFrames; ++i) {
    const Frame frame = plain_frame(60 + i % 200, static_cast<std::uint8_t>(i));
    if (auto sent = ports.partner->send(frame); !sent) return sent;
    const auto got = port.receive(0, 1);
    if (!got.empty() && got[0].bytes.empty()) ++empty;
    if (!got.empty() && got[0].bytes == frame) ++intact;
  }
  answer.equal("I-ZEROLEN", "of 2,000 frames, the number seen done with length 0", empty, 0);
  answer.equal("I-ZEROLEN", "of 2,000 frames, the number received intact and in order", intact, kFrames);
  return {};
}

constexpr std::array<std::string_view, 1> kOctetTags{"I-OCTETS"};
constexpr std::array<std::string_view, 3> kDroppedTags{"I-OVERRUN", "I-RQDPC", "I-M-MISSED"};
constexpr std::array<std::string_view, 1> kWaitingTags{"I-M-BUFFER"};
constexpr std::array<std::string_view, 1> kDisabledTags{"I-M-QOFF"};
constexpr std::array<std::string_view, 1> kArrivalTimeTags{"I-M-PAUSE"};
constexpr std::array<std::string_view, 1> kLowTags{"I-M-RDMTS"};
constexpr std::array<std::string_view, 1> kManyTags{"I-ZEROLEN"};
constexpr std::array kOverrunProbes{
    Probe{"octets", "When are the halves of an octet counter cleared?", kOctetTags, true, true, ask_octets},
    Probe{"dropped", "What counts frames that find no descriptor, with DROP_EN?", kDroppedTags, true, true,
          ask_dropped},
    Probe{"waiting", "Where do frames wait that find no descriptor, without DROP_EN?", kWaitingTags, true, true,
          ask_waiting},
    Probe{"disabled_queue", "What happens to frames for a disabled queue?", kDisabledTags, true, true,
          ask_disabled_queue},
    Probe{"pause", "Which counters count a pause frame?", kArrivalTimeTags, true, true, ask_pause},
    Probe{"low_water", "When is ICR.RXDMT0 raised?", kLowTags, true, true, ask_low_water},
    Probe{"many_frames", "Is a descriptor ever done with length 0?", kManyTags, true, true, ask_many},
};

}  // namespace

std::span<const Probe> overrun_probes() { return kOverrunProbes; }

}  // namespace pollux::silicon
