// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <fmt/format.h>

#include <ostream>

#include "base/printable.hpp"

namespace pollux::tool {

void print_error(std::ostream& err, const Error& error) {
  err << "pollux: " << printable(error.what) << '\n';
  if (!error.hint.empty()) err << "  hint: " << printable(error.hint) << '\n';
}

int report(const Environment& environment, const Error& error) {
  print_error(environment.err, error);
  return error.code == ErrorCode::invalid_argument ? kUsage : kFailure;
}

Result<std::vector<pci::Address>> parse_addresses(const std::vector<std::string>& words) {
  constexpr std::string_view kScheme = "vfio:";
  std::vector<pci::Address> addresses;
  for (const std::string& word : words) {
    std::string_view text = word;
    if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
    // Text after '?' selects the access mode. `open` parses it.
    auto address = pci::Address::parse(text.substr(0, text.find('?')));
    if (!address) return pass_on(std::move(address));
    addresses.push_back(*address);
  }
  return addresses;
}

void print_outcomes(const Environment& environment, const std::vector<host::BindOutcome>& outcomes) {
  for (const host::BindOutcome& outcome : outcomes) {
    const std::string group = outcome.iommu_group ? fmt::format(" (group {})", *outcome.iommu_group) : std::string();
    const auto name = [](const std::string& driver) { return driver.empty() ? std::string("no driver") : driver; };
    environment.out << outcome.address.to_string() << ": "
                    << (outcome.changed ? name(outcome.previous_driver) + " -> " + name(outcome.driver)
                                        : "stays with " + name(outcome.driver))
                    << group << '\n';
  }
}

std::string or_dash(std::string_view text) { return std::string(text.empty() ? "-" : text); }

std::string joined(const std::string& first, const std::string& second) {
  return first + (first.empty() || second.empty() ? "" : " ") + second;
}

}  // namespace pollux::tool
