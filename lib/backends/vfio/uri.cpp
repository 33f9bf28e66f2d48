// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/uri.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pollux::vfio {
namespace {

constexpr std::string_view kKey = "via=";
constexpr std::array kWays{std::pair<std::string_view, Way>{"iommufd", Way::iommufd},
                           std::pair<std::string_view, Way>{"group", Way::group},
                           std::pair<std::string_view, Way>{"noiommu", Way::no_iommu}};

}  // namespace

Result<Which> parse_which(std::string_view text) {
  const auto mark = text.find('?');
  auto address = pci::Address::parse(text.substr(0, mark));
  if (!address) return pass_on(std::move(address));
  if (mark == std::string_view::npos) return Which{*address};
  const std::string_view query = text.substr(mark + 1);
  if (query.starts_with(kKey)) {
    for (const auto& [name, way] : kWays) {
      if (query.substr(kKey.size()) == name) return Which{*address, way};
    }
  }
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': there is no way '{}' to a device", text, query),
              fmt::format("write vfio:{0}, or vfio:{0}?via=iommufd, ?via=group or ?via=noiommu", address->to_string()));
}

}  // namespace pollux::vfio
