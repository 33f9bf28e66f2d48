// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "common/frame.hpp"
#include "common/number_text.hpp"
#include "common/rates.hpp"

namespace pollux::tools {
namespace {

constexpr std::uint32_t kMinSize = frame::kMinLength + kFcsBytes;
constexpr std::uint32_t kMaxSize = frame::kMaxLength + kFcsBytes;
constexpr std::string_view kImix = "imix";
constexpr std::string_view kSimpleImix = "64:7,594:4,1518:1";
constexpr std::array<std::uint32_t, 9> kGenome{64, 128, 256, 512, 1024, 1280, 1518, 2112, 9000};  // 'a' to 'i'

struct Share {
  std::uint32_t size = 0;
  std::int64_t weight = 1;
};

std::optional<Share> parse_share(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto size = parse_number(text.substr(0, colon), kMinSize, kMaxSize);
  if (!size) return {};
  if (colon == std::string_view::npos) return Share{*size};
  const auto weight = parse_number<std::int64_t>(text.substr(colon + 1), 1, kMaxSizes);
  return weight ? std::optional(Share{*size, *weight}) : std::nullopt;
}

std::optional<std::vector<Share>> parse_shares(std::string_view text) {
  std::vector<Share> shares;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto share = parse_share(text.substr(0, comma));
    if (!share) return {};
    shares.push_back(*share);
    if (comma == std::string_view::npos) return shares;
    text.remove_prefix(comma + 1);
  }
}

/// Spreads each size evenly over the sequence: the one whose share is furthest behind is next.
std::vector<std::uint32_t> mixed(const std::vector<Share>& shares) {
  const std::int64_t total = std::accumulate(shares.begin(), shares.end(), std::int64_t{0},
                                             [](std::int64_t sum, const Share& share) { return sum + share.weight; });
  if (total > static_cast<std::int64_t>(kMaxSizes)) return {};
  std::vector<std::int64_t> behind(shares.size());
  std::vector<std::uint32_t> sequence;
  for (std::int64_t place = 0; place < total; ++place) {
    for (std::size_t i = 0; i < shares.size(); ++i) behind[i] += shares[i].weight;
    const auto next = std::ranges::max_element(behind);
    *next -= total;
    sequence.push_back(shares[static_cast<std::size_t>(next - behind.begin())].size);
  }
  return sequence;
}

std::vector<std::uint32_t> decoded(std::string_view genome) {
  std::vector<std::uint32_t> sequence;
  for (const char letter : genome) {
    const auto index = static_cast<std::size_t>(letter - 'a');
    if (letter < 'a' || index >= kGenome.size()) return {};
    sequence.push_back(kGenome[index]);
  }
  return sequence.size() <= kMaxSizes ? sequence : std::vector<std::uint32_t>();
}

std::vector<std::uint32_t> sequence_of(std::string_view text) {
  if (text == kImix) text = kSimpleImix;
  if (text.starts_with("imix-")) return decoded(text.substr(5));
  const auto shares = parse_shares(text);
  return shares ? mixed(*shares) : std::vector<std::uint32_t>();
}

}  // namespace

std::uint32_t FrameSizes::largest() const noexcept { return std::ranges::max(sequence); }

Result<FrameSizes> parse_frame_sizes(std::string_view text) {
  FrameSizes sizes{std::string(text), sequence_of(text)};
  if (!sizes.sequence.empty()) return sizes;
  return fail(
      ErrorCode::invalid_argument, fmt::format("'{}' names no frame sizes", text),
      fmt::format("use a size from {} to {}, sizes with shares such as {}, imix, or imix- and an IMIX genome of "
                  "the letters a to i (RFC 6985); at most {} frames",
                  kMinSize, kMaxSize, kSimpleImix, kMaxSizes));
}

}  // namespace pollux::tools
