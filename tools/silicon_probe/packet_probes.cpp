// SPDX-License-Identifier: BSD-3-Clause
// What the card says about the packets that it receives.
#include <fmt/format.h>

#include <array>

#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

namespace rx = hw::intel::rx;

/// The hashes that the driver enables. Those over extension headers would replace the others for all IPv6 packets.
constexpr reg::MRQC::Setting kHashes = reg::MRQC::TCP_IPV4 | reg::MRQC::IPV4 | reg::MRQC::IPV6 | reg::MRQC::TCP_IPV6 |
                                       reg::MRQC::UDP_IPV4 | reg::MRQC::UDP_IPV6;

void use_rss(const reg::Registers& regs, std::uint32_t entries) {
  for (std::uint32_t word = 0; word < reg::kRssKeyWords; ++word) {
    regs.write<reg::RSSRK>(word, reg::RSSRK::Value(0x6D5A56DA + word * 0x01010101));
  }
  for (std::uint32_t word = 0; word < reg::kRedirectionEntries / 4; ++word) {
    regs.write<reg::RETA>(word, reg::RETA::Value(entries));
  }
  regs.write<reg::MRQC>(kHashes | reg::MRQC::RSS);
  regs.write<reg::RXCSUM>(reg::RXCSUM::PCSD | reg::RXCSUM::IPOFL | reg::RXCSUM::TUOFL);
}

Result<void> ask_packet_types(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  use_rss(port.regs(), 0);
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  for (const PacketCase& one : packet_cases()) {
    if (auto sent = ports.partner->send(one.frame); !sent) return sent;
    const auto got = port.receive(0, 1);
    if (got.empty()) {
      answer.note("I-PTYPE", fmt::format("{}: not received", one.name), 0);
      continue;
    }
    const bool extended = (one.packet_type & (rx::kTypeIpv4Options | rx::kTypeIpv6Extensions)) != 0;
    answer.equal_hex(extended ? "I-PTYPEEXT" : "I-PTYPE", fmt::format("packet type of {}", one.name),
                     rx::packet_type(got[0].low), one.packet_type);
    const auto rss = static_cast<std::uint64_t>(rx::rss_type(got[0].low));
    if (one.rss_type) {
      answer.equal("I-RSSTYPE", fmt::format("RSS type of {}", one.name), rss, *one.rss_type);
    } else {
      answer.note("I-M-RSSEX", fmt::format("RSS type of {}", one.name), rss);
    }
    answer.note_hex("I-M-CHECKSUM", fmt::format("status and errors of {}", one.name), got[0].high & 0xFFFFFFFF);
  }
  return {};
}

/// The queue that receives a packet; kQueues if none does.
Result<std::uint32_t> queue_of(const ProbePorts& ports, std::uint32_t entry) {
  RawPort& port = ports.port;
  use_rss(port.regs(), entry * 0x01010101U);
  if (auto sent = ports.partner->send(packet_cases().front().frame); !sent) return pass_on(std::move(sent));
  for (std::uint32_t queue = 0; queue < RawPort::kQueues; ++queue) {
    if (!port.receive(queue, 1, milliseconds(20)).empty()) return queue;
  }
  return RawPort::kQueues;
}

Result<void> ask_redirection(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  ports.port.receive_all();
  for (std::uint32_t queue = 0; queue < RawPort::kQueues; ++queue) {
    if (auto opened = ports.port.open_rx(queue, {}); !opened) return opened;
  }
  const std::array<std::array<std::uint32_t, 2>, 3> kCases{{{0x01, 1}, {0x03, 3}, {0x40, 0}}};
  for (const auto& [entry, expected] : kCases) {
    const auto queue = queue_of(ports, entry);
    if (!queue) return tl::unexpected<Error>(queue.error());
    answer.equal("I-RETA", fmt::format("queue of a packet whose RETA entry is {:#04x}", entry), *queue, expected);
  }
  return {};
}

Result<void> ask_without_hash(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  port.receive_all();
  port.regs().write<reg::RXCSUM>({});
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  if (auto sent = ports.partner->send(packet_cases().front().frame); !sent) return sent;
  const auto got = port.receive(0, 1);
  if (got.empty()) return fail(ErrorCode::timeout, "the packet did not arrive");
  answer.equal_hex("I-M-PCSD", "bits 47:32 of the write-back without RXCSUM.PCSD",
                   got[0].low >> rx::kIpIdShift & 0xFFFF, kIpId);
  answer.note_hex("I-M-PCSD", "bits 63:48, the packet checksum", got[0].low >> rx::kChecksumShift);
  return {};
}

constexpr std::array<std::string_view, 5> kTypeTags{"I-PTYPE", "I-PTYPEEXT", "I-RSSTYPE", "I-M-RSSEX", "I-M-CHECKSUM"};
constexpr std::array<std::string_view, 1> kRedirectionTags{"I-RETA"};
constexpr std::array<std::string_view, 1> kHashTags{"I-M-PCSD"};
constexpr std::array kPacketProbes{
    Probe{"packet_types", "Which types does the card report for packets?", kTypeTags, true, true, ask_packet_types},
    Probe{"redirection", "Where in a RETA entry is the queue?", kRedirectionTags, true, true, ask_redirection},
    Probe{"without_hash", "What replaces the hash without RXCSUM.PCSD?", kHashTags, true, true, ask_without_hash},
};

}  // namespace

std::span<const Probe> packet_probes() { return kPacketProbes; }

}  // namespace pollux::silicon
