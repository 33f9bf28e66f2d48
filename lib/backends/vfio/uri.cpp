// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/uri.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pollux::vfio {
namespace {

constexpr std::string_view kKey = "via=";
constexpr std::array kAccessModes{std::pair<std::string_view, AccessMode>{"iommufd", AccessMode::iommufd},
                                  std::pair<std::string_view, AccessMode>{"group", AccessMode::group},
                                  std::pair<std::string_view, AccessMode>{"noiommu", AccessMode::no_iommu}};

}  // namespace

Result<VfioUri> parse_uri(std::string_view text) {
  const auto mark = text.find('?');
  auto address = pci::Address::parse(text.substr(0, mark));
  if (!address) return pass_on(std::move(address));
  if (mark == std::string_view::npos) return VfioUri{*address};
  const std::string_view query = text.substr(mark + 1);
  if (query.starts_with(kKey)) {
    for (const auto& [name, mode] : kAccessModes) {
      if (query.substr(kKey.size()) == name) return VfioUri{*address, mode};
    }
  }
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': unknown access mode '{}'", text, query),
              fmt::format("write vfio:{0}, or vfio:{0}?via=iommufd, ?via=group or ?via=noiommu", address->to_string()));
}

}  // namespace pollux::vfio
