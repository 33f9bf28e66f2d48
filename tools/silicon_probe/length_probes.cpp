// SPDX-License-Identifier: BSD-3-Clause
// The longest frames that the card accepts.
#include <fmt/format.h>

#include <array>

#include "silicon_probe/frames.hpp"
#include "silicon_probe/groups.hpp"

namespace pollux::silicon {
namespace {

/// Sends a frame of `bytes` bytes (with its `tags` VLAN tags, without FCS). Returns whether it arrives.
Result<bool> arrives(const ProbePorts& ports, std::size_t bytes, unsigned tags) {
  if (auto sent = ports.partner->send(plain_frame(bytes, 0, tags)); !sent) return pass_on(std::move(sent));
  const auto got = ports.port.receive(0, 1, milliseconds(20));
  return !got.empty();
}

/// Tries each length from `from` to `to` bytes (without FCS). Returns the longest that arrives, 0 if none does.
Result<std::size_t> longest(const ProbePorts& ports, std::size_t from, std::size_t to, unsigned tags = 0) {
  std::size_t found = 0;
  for (std::size_t bytes = from; bytes <= to; ++bytes) {
    const auto came = arrives(ports, bytes, tags);
    if (!came) return tl::unexpected<Error>(came.error());
    if (*came) found = bytes;
  }
  return found;
}

// The card looks for a second tag only if CTRL_EXT.EXT_VLAN is set.
void expect_two_tags(const reg::Registers& regs) {
  constexpr std::uint32_t kVlan = 0x8100;
  regs.write<reg::VET>(reg::VET::TYPE(kVlan) | reg::VET::OUTER_TYPE(kVlan));
  regs.modify<reg::CTRL_EXT>(reg::CTRL_EXT::EXT_VLAN);
}

Result<void> ask_default_limit(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  ports.port.receive_all();
  if (auto opened = ports.port.open_rx(0, {}); !opened) return opened;
  for (unsigned tags = 0; tags < 3; ++tags) {
    if (tags == 2) expect_two_tags(ports.port.regs());
    const std::size_t expected = 1514 + tags * std::size_t{4};
    const auto found = longest(ports, expected - 1, expected + 2, tags);
    if (!found) return tl::unexpected<Error>(found.error());
    answer.equal("I-LPE", fmt::format("longest frame without RCTL.LPE and with {} tags, without FCS", tags), *found,
                 expected);
  }
  return {};
}

Result<void> ask_set_limit(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  constexpr std::uint32_t kLimit = 1000;
  ports.port.regs().write<reg::RLPML>(reg::RLPML::LENGTH(kLimit));
  ports.port.receive_all(reg::RCTL::LPE);
  if (auto opened = ports.port.open_rx(0, {}); !opened) return opened;
  for (unsigned tags = 0; tags < 2; ++tags) {
    const auto found = longest(ports, kLimit - 6, kLimit + 5, tags);
    if (!found) return tl::unexpected<Error>(found.error());
    answer.equal("I-RLPML", fmt::format("longest frame with RLPML = 1000 and {} tags, without FCS", tags), *found,
                 kLimit - 4);
  }
  return {};
}

Result<void> ask_jumbo_limit(ProbePorts& ports, Answer& answer) {
  if (auto joined = join(ports); !joined) return joined;
  ports.port.regs().write<reg::RLPML>(reg::RLPML::LENGTH(0x3FFF));
  ports.port.receive_all(reg::RCTL::LPE);
  if (auto opened = ports.port.open_rx(0, {}); !opened) return opened;
  const auto found = longest(ports, reg::kMaxFrameBytes - 6, reg::kMaxFrameBytes + 2);
  if (!found) return tl::unexpected<Error>(found.error());
  answer.equal("I-JUMBO", "longest frame with the largest RLPML, without FCS", *found, reg::kMaxFrameBytes - 4);
  return {};
}

constexpr std::array<std::string_view, 1> kDefaultTags{"I-LPE"};
constexpr std::array<std::string_view, 1> kSetTags{"I-RLPML"};
constexpr std::array<std::string_view, 1> kJumboTags{"I-JUMBO"};
constexpr std::array kLengthProbes{
    Probe{"default_limit", "How long may frames be without RCTL.LPE?", kDefaultTags, true, true, ask_default_limit},
    Probe{"set_limit", "What does RLPML count?", kSetTags, true, true, ask_set_limit},
    Probe{"jumbo_limit", "How long is the longest frame?", kJumboTags, true, true, ask_jumbo_limit},
};

}  // namespace

std::span<const Probe> length_probes() { return kLengthProbes; }

}  // namespace pollux::silicon
