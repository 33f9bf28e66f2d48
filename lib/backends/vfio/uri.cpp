// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/uri.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pollux::vfio {
namespace {

constexpr std::string_view kKey = "via=";
constexpr std::string_view kTokenKey = "vf_token=";
constexpr std::array kAccessModes{std::pair<std::string_view, AccessMode>{"iommufd", AccessMode::iommufd},
                                  std::pair<std::string_view, AccessMode>{"group", AccessMode::group},
                                  std::pair<std::string_view, AccessMode>{"noiommu", AccessMode::no_iommu}};

/// 8-4-4-4-12 hexadecimal digits (RFC 9562, section 4), as the kernel's uuid_parse takes them.
bool is_uuid(std::string_view text) {
  constexpr std::string_view kPattern = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  if (text.size() != kPattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = kDigits.find(text[i]) != std::string_view::npos;
    if (kPattern[i] == 'x' ? !is_digit : text[i] != '-') return false;
  }
  return true;
}

/// Sets what one part of the query says. Returns false if it says nothing known, or says it again.
bool set_part(VfioUri& uri, std::string_view part) {
  if (part.starts_with(kTokenKey)) {
    const auto token = part.substr(kTokenKey.size());
    if (!uri.token.empty() || !is_uuid(token)) return false;
    uri.token = token;
    return true;
  }
  if (!part.starts_with(kKey) || uri.mode != AccessMode::automatic) return false;
  for (const auto& [name, mode] : kAccessModes) {
    if (part.substr(kKey.size()) == name) uri.mode = mode;
  }
  return uri.mode != AccessMode::automatic;
}

}  // namespace

Result<VfioUri> parse_uri(std::string_view text) {
  const auto mark = text.find('?');
  auto address = pci::Address::parse(text.substr(0, mark));
  if (!address) return pass_on(std::move(address));
  if (mark == std::string_view::npos) return VfioUri{*address};
  const std::string_view query = text.substr(mark + 1);
  VfioUri uri{*address};
  bool known = true;
  for (std::string_view rest = query; known;) {
    const auto end = rest.find('&');
    known = set_part(uri, rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (known && !uri.token.empty() && uri.mode != AccessMode::automatic && uri.mode != AccessMode::group) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': vf_token needs the IOMMU group", text),
                "write ?via=group&vf_token=UUID, or only ?vf_token=UUID");
  }
  if (known) return uri;
  return fail(
      ErrorCode::invalid_argument, fmt::format("'{}': unknown option '{}'", text, query),
      fmt::format("write vfio:{0}, or vfio:{0}?via=iommufd, ?via=group or ?via=noiommu; ?vf_token=UUID gives a token",
                  address->to_string()));
}

}  // namespace pollux::vfio
