// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace pollux::models::virtio {
namespace {

struct KindName {
  std::string_view name;
  FaultKind kind;
};
constexpr std::array kKinds{
    KindName{"used-id", FaultKind::used_id},           KindName{"used-twice", FaultKind::used_twice},
    KindName{"used-never", FaultKind::used_never},     KindName{"used-length", FaultKind::used_length},
    KindName{"index-jump", FaultKind::index_jump},     KindName{"no-buffers", FaultKind::no_buffers},
    KindName{"many-buffers", FaultKind::many_buffers}, KindName{"config-changes", FaultKind::config_changes},
    KindName{"no-answer", FaultKind::no_answer},       KindName{"needs-reset", FaultKind::needs_reset},
    KindName{"no-interrupt", FaultKind::no_interrupt}};
constexpr std::string_view kHint =
    "separate by '+': no-FEATURE (such as no-ring-packed), plain-wire, pairs=1 to 16, queue-size=8 to 4096 (a power of "
    "two), "
    "mtu=68 to 65535, speed=1000, fault=[rx-|tx-]KIND@AT (used-id, used-twice, used-never, used-length, index-jump, "
    "no-buffers, many-buffers, config-changes, no-answer, needs-reset, no-interrupt)";

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

template <class T>
bool set_number(T& field, std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto value = number(text, least, most);
  if (value) field = static_cast<T>(*value);
  return value.has_value();
}

bool set_fault(Faults& faults, std::string_view text) {
  const auto sign = text.find('@');
  std::string_view kind = text.substr(0, sign);
  if (sign != std::string_view::npos && !set_number(faults.at, text.substr(sign + 1), 0, UINT32_MAX)) return false;
  for (const auto& [prefix, where] : {std::pair("rx-", Faults::Where::rx), std::pair("tx-", Faults::Where::tx)}) {
    if (!kind.starts_with(prefix)) continue;
    faults.where = where;
    kind.remove_prefix(3);
  }
  const auto* const found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const KindName& k) { return k.name == kind; });
  if (found == kKinds.end()) return false;
  faults.kind = found->kind;
  return true;
}

/// "RING_PACKED" and "ring-packed".
bool same_name(std::string_view standard, std::string_view written) {
  return std::equal(standard.begin(), standard.end(), written.begin(), written.end(), [](char s, char w) {
    return (s == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(s)))) == w;
  });
}

bool leave_out(hw::Features& features, std::string_view name) {
  for (const hw::FeatureName& known : hw::kFeatureNames) {
    // VERSION_1 is what makes it a device of this kind.
    if (!same_name(known.name, name) || known.bit == hw::feature::kVersion1) continue;
    features &= ~known.bit;
    return true;
  }
  return false;
}

bool set(CardOptions& options, std::string_view word) {
  if (word.starts_with("no-")) return leave_out(options.features, word.substr(3));
  if (word == "plain-wire") return options.plain_wire = true;
  const auto equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = word.substr(0, equals);
  const std::string_view value = word.substr(equals + 1);
  if (key == "pairs") return set_number(options.pairs, value, 1, CardOptions::kMaxPairs);
  if (key == "queue-size") {
    return set_number(options.queue_size, value, 8, CardOptions::kMaxQueueSize) &&
           std::has_single_bit(options.queue_size);
  }
  if (key == "mtu") return set_number(options.mtu, value, CardOptions::kMinMtu, UINT16_MAX);
  if (key == "speed") return set_number(options.speed, value, 0, INT32_MAX);
  return key == "fault" && set_fault(options.faults, value);
}

}  // namespace

Result<CardOptions> CardOptions::parse(std::string_view text) {
  CardOptions options;
  std::vector<std::string_view> keys;
  while (!text.empty()) {
    const auto end = std::min(text.find('+'), text.size());
    const std::string_view word = text.substr(0, end);
    keys.push_back(word.substr(0, word.find('=')));
    if (std::ranges::count(keys, keys.back()) != 1) {
      return fail(ErrorCode::invalid_argument, fmt::format("virtio-net: the option '{}' is given twice", keys.back()),
                  "give it once");
    }
    if (!set(options, word)) {
      return fail(ErrorCode::invalid_argument, fmt::format("virtio-net: '{}' is not an option of this card", word),
                  std::string(kHint));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return options;
}

}  // namespace pollux::models::virtio
