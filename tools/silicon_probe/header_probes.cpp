// SPDX-License-Identifier: BSD-3-Clause
// Headers split from frames.
#include <array>

#include <fmt/format.h>

#include "pollux/net/packet/builder.hpp"
#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"
#include "silicon_probe/raw_port.hpp"

namespace pollux::silicon {
namespace {

namespace rx = hw::intel::rx;
using packet::Builder;

constexpr MacAddress kSender{0x02, 0, 0, 0, 0, 0x01};
constexpr std::uint32_t kAllTypes = 0x3FE;  // what the driver writes
constexpr std::array<std::uint8_t, 40> kOptions{1, 1, 1, 1};

/// TCP over IPv4 with `payload` bytes, and `options` bytes of options of each: headers of 54 bytes and twice as many.
Frame segment(std::size_t payload, std::size_t options = 0, std::uint16_t port = 80) {
  Frame memory(6000);
  const Frame data(payload, 0x5A);
  const std::span some_options = std::span(kOptions).first(options);
  const packet::Ipv4Header ip{.source = {192, 0, 2, 1}, .destination = {198, 51, 100, 7}, .options = some_options};
  const packet::TcpHeader tcp{.source_port = 2794, .destination_port = port, .options = some_options};
  Builder builder(memory);
  builder.ethernet({.destination = kBroadcastAddress, .source = kSender}).ipv4(ip).tcp(tcp).payload(data);
  const auto made = builder.finish();
  return made ? Frame(made->begin(), made->end()) : Frame();
}

Frame with_protocol(packet::Ipv4Header ip) {
  Frame memory(200);
  const Frame data(100, 0x5A);
  ip.source = {192, 0, 2, 1};
  ip.destination = {198, 51, 100, 7};
  Builder builder(memory);
  builder.ethernet({.destination = kBroadcastAddress, .source = kSender}).ipv4(ip).payload(data);
  const auto made = builder.finish();
  return made ? Frame(made->begin(), made->end()) : Frame();
}

void set_types(const RawPort& port, std::uint32_t first, std::uint32_t others) {
  for (std::uint32_t pool = 0; pool < reg::kPools; ++pool) {
    port.regs().write<reg::PSRTYPE>(pool, reg::PSRTYPE::Value(pool == 0 ? first : others));
  }
}

Result<void> begin(ProbePorts& ports, std::uint32_t header_units, reg::SRRCTL::Setting format = reg::SRRCTL::SPLIT) {
  if (auto joined = join(ports); !joined) return joined;
  RawPort& port = ports.port;
  set_types(port, kAllTypes, kAllTypes);
  port.regs().write<reg::RLPML>(reg::RLPML::LENGTH(6000));
  port.receive_all(reg::RCTL::LPE);
  return port.open_rx(
      0, {.buffer_kib = 2, .format = format | reg::SRRCTL::BSIZEHEADER(header_units), .has_headers = true});
}

/// The write-backs of the frame; empty if it does not arrive.
Result<std::vector<Received>> sent(ProbePorts& ports, const Frame& frame, std::size_t descriptors = 1) {
  if (auto done = ports.partner->send(frame); !done) return pass_on(std::move(done));
  return ports.port.receive(0, descriptors);
}

bool is_split(const Received& got) { return (got.low & rx::kSplitHeader) != 0; }

Result<void> ask_headers(ProbePorts& ports, Answer& answer) {
  constexpr std::string_view kTag = "I-HDRSPLIT";
  if (auto begun = begin(ports, 2); !begun) return begun;
  const Frame plain = segment(200);
  const auto split = sent(ports, plain);
  if (!split) return tl::unexpected<Error>(split.error());
  if (split->empty()) return fail(ErrorCode::timeout, "the segment did not arrive");
  const Received& one = split->front();
  answer.yes_no(kTag, "a TCP segment is split", is_split(one), true);
  answer.equal(kTag, "length of its headers", rx::header_length(one.low), 54);
  answer.equal(kTag, "length of its payload", rx::length(one.high), 200);
  const bool whole = one.headers.size() == 54 && std::equal(one.headers.begin(), one.headers.end(), plain.begin());
  answer.yes_no(kTag, "its headers are in the header buffer", whole, true);
  const auto large = sent(ports, segment(0, 40));
  if (!large) return tl::unexpected<Error>(large.error());
  if (!large->empty()) {
    answer.yes_no(kTag, "HBO of headers beyond their buffer", (large->front().high & rx::kHeaderOverflow) != 0, true);
    answer.equal(kTag, "their length, as reported", rx::header_length(large->front().low), 134);
    answer.equal(kTag, "bytes of the frame in the packet buffer", rx::length(large->front().high), 134);
  }
  const auto parts = sent(ports, segment(3000), 2);
  if (!parts) return tl::unexpected<Error>(parts.error());
  if (parts->size() == 2) {
    answer.yes_no(kTag, "SPH in the first descriptor of two", is_split(parts->front()), true);
    answer.note(kTag, "SPH in the second one", is_split(parts->back()) ? "yes" : "no");
  }
  const auto large_parts = sent(ports, segment(3000, 40), 2);
  if (!large_parts) return tl::unexpected<Error>(large_parts.error());
  if (large_parts->size() == 2) {
    const bool first = (large_parts->front().high & rx::kHeaderOverflow) != 0;
    answer.note(kTag, "HBO in the first descriptor of two", first ? "yes" : "no");
  }
  const auto unknown = sent(ports, plain_frame(300));
  if (!unknown) return tl::unexpected<Error>(unknown.error());
  if (!unknown->empty()) {
    answer.yes_no(kTag, "a frame that is not IP is split", is_split(unknown->front()), false);
    answer.note(kTag, "the length of headers that it reports", rx::header_length(unknown->front().low));
  }
  const auto alone = sent(ports, segment(0, 20));
  if (!alone) return tl::unexpected<Error>(alone.error());
  if (!alone->empty()) {
    answer.equal(kTag, "length of the payload of headers alone", rx::length(alone->front().high), 0);
    answer.equal(kTag, "length of the headers", rx::header_length(alone->front().low), 94);
  }
  return {};
}

Result<void> ask_types(ProbePorts& ports, Answer& answer) {
  if (auto begun = begin(ports, 4); !begun) return begun;
  const struct {
    std::string_view name;
    Frame frame;
    std::uint32_t header;
  } cases[] = {
      {"a first fragment", with_protocol({.more_fragments = true, .protocol = 17}), 34},
      {"a later fragment", with_protocol({.fragment_offset = 100, .protocol = 17}), 34},
      {"IPv4 without TCP or UDP", with_protocol({.protocol = 253}), 0},
      {"SCTP", with_protocol({.protocol = 132}), 0},
      {"a TCP segment to NFS", segment(200, 0, 2049), 0},
  };
  for (const auto& one : cases) {
    const auto got = sent(ports, one.frame);
    if (!got) return tl::unexpected<Error>(got.error());
    if (got->empty()) continue;
    const std::uint32_t header = is_split(got->front()) ? rx::header_length(got->front().low) : 0;
    answer.equal("I-PSRTYPE", fmt::format("headers split from {}", one.name), header, one.header);
  }
  constexpr std::array<std::array<std::uint32_t, 2>, 2> kRegisters{{{0, kAllTypes}, {kAllTypes, 0}}};
  for (const auto& [first, others] : kRegisters) {
    set_types(ports.port, first, others);
    const auto got = sent(ports, segment(200));
    if (!got) return tl::unexpected<Error>(got.error());
    if (got->empty()) continue;
    answer.yes_no("I-M-HDRSPLIT",
                  fmt::format("queue 0 splits TCP with PSRTYPE[0] = {:#x} and {:#x} in the others", first, others),
                  is_split(got->front()), first != 0);
  }
  return {};
}

bool starts_with(const Frame& frame, const Frame& start) {
  return frame.size() >= start.size() && std::equal(start.begin(), start.end(), frame.begin());
}

Result<void> ask_copies(ProbePorts& ports, Answer& answer) {
  constexpr std::string_view kTag = "I-HDRCOPY";
  if (auto begun = begin(ports, 2, reg::SRRCTL::REPLICATE); !begun) return begun;
  const Frame plain = segment(200);
  const auto copied = sent(ports, plain);
  if (!copied) return tl::unexpected<Error>(copied.error());
  if (copied->empty()) return fail(ErrorCode::timeout, "the segment did not arrive");
  const Received& one = copied->front();
  answer.yes_no(kTag, "the headers of a TCP segment are copied", is_split(one), true);
  answer.equal(kTag, "length of its headers", rx::header_length(one.low), 54);
  answer.equal(kTag, "length of the segment", rx::length(one.high), plain.size());
  answer.yes_no(kTag, "the packet buffer has the segment", one.bytes == plain, true);
  answer.yes_no(kTag, "the header buffer has its headers", starts_with(plain, one.headers), true);
  const auto large = sent(ports, segment(0, 40));
  if (!large) return tl::unexpected<Error>(large.error());
  if (!large->empty()) {
    answer.note(kTag, "HBO of headers beyond their buffer",
                (large->front().high & rx::kHeaderOverflow) != 0 ? "yes" : "no");
    answer.equal(kTag, "bytes of that frame in the packet buffer", rx::length(large->front().high), 134);
  }
  const auto unknown = sent(ports, plain_frame(300));
  if (!unknown) return tl::unexpected<Error>(unknown.error());
  if (!unknown->empty()) {
    answer.yes_no(kTag, "SPH of a frame that is not IP", is_split(unknown->front()), false);
    answer.equal(kTag, "bytes of that frame in the packet buffer", rx::length(unknown->front().high), 300);
  }
  return {};
}

// Where short frames lie if only the headers of longer ones are copied.
Result<void> ask_short_copies(ProbePorts& ports, Answer& answer) {
  constexpr std::string_view kTag = "I-M-HDRCOPY";
  if (auto begun = begin(ports, 2, reg::SRRCTL::REPLICATE_LARGE); !begun) return begun;
  const struct {
    std::string_view name;
    Frame frame;
    bool in_packet_buffer;
  } cases[] = {
      {"a short TCP segment", segment(50), false},
      {"a short frame that is not IP", plain_frame(100), true},
      {"a TCP segment longer than the header buffer", segment(200), true},
  };
  for (const auto& one : cases) {
    const auto got = sent(ports, one.frame);
    if (!got) return tl::unexpected<Error>(got.error());
    if (got->empty()) continue;
    answer.equal(kTag, fmt::format("length of {}", one.name), rx::length(got->front().high), one.frame.size());
    answer.yes_no(kTag, fmt::format("the packet buffer has {}", one.name), got->front().bytes == one.frame,
                  one.in_packet_buffer);
  }
  return {};
}

constexpr std::array<std::string_view, 1> kHeaderTags{"I-HDRSPLIT"};
constexpr std::array<std::string_view, 2> kSplitTags{"I-PSRTYPE", "I-M-HDRSPLIT"};
constexpr std::array<std::string_view, 1> kCopyTags{"I-HDRCOPY"};
constexpr std::array<std::string_view, 1> kLargeTags{"I-M-HDRCOPY"};
constexpr std::array kHeaderProbes{
    Probe{"split_headers", "What does the card report of split frames?", kHeaderTags, true, true, ask_headers},
    Probe{"split_types", "Which frames does the card split?", kSplitTags, true, true, ask_types},
    Probe{"copied_headers", "What does the card report of frames whose headers it copies?", kCopyTags, true, true,
          ask_copies},
    Probe{"copied_large", "Where are short frames if the card copies the headers of longer ones?", kLargeTags, true,
          true, ask_short_copies},
};

}  // namespace

std::span<const Probe> header_probes() { return kHeaderProbes; }

}  // namespace pollux::silicon
