// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/exclusions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace pollux::drivers::igb {
namespace {

struct Name {
  Feature feature;
  const char* name;
  const char* hint;  ///< how to end it
};
constexpr std::array kNames{
    Name{pools, "pools", "set no pools first, on the stopped port (QueuePools)"},
    Name{functions, "virtual functions", "disable the functions first, on the stopped port"},
    Name{vlan_filter, "the VLAN filter", "open the port again, and name VLANs in QueuePool::vlans"},
    Name{further_addresses, "further addresses", "clear them, and name them in QueuePool::addresses"},
    Name{flow_rules, "flow rules", "remove the rules first, or give them to SoftwareClassifier"},
    Name{outer_vlan_type, "an outer VLAN type", "turn DoubleVlan off first"},
    Name{transmit_stamps, "stamps of sent frames", "set FrameStampsConfig::transmit to false first"},
    Name{several_queues, "other queues than one in each direction", "configure the port with these first"},
};

struct Exclusion {
  Feature one, other;
  const char* why;
};
constexpr std::array kExclusions{
    Exclusion{pools, vlan_filter, "each pool has VLANs of its own (QueuePool::vlans)"},
    Exclusion{pools, further_addresses, "each pool has addresses of its own (QueuePool::addresses)"},
    // [I-FTQF] No source that was read says what a queue filter does to a frame that pools get.
    Exclusion{pools, flow_rules, "both choose queues"},
    Exclusion{functions, flow_rules, "both choose queues"},
    Exclusion{functions, pools, "both choose queues"},
    Exclusion{functions, several_queues, "with virtual functions the port has one queue in each direction"},
    // The mode is the whole card's, and a function's driver would not know of it.
    Exclusion{functions, outer_vlan_type, "the card has the type for all functions"},
    Exclusion{functions, transmit_stamps, "functions share the card's only stamp, and could falsify it"},
    // [I-EXTVLAN] The card's filters find no headers in frames without the outer tag.
    Exclusion{outer_vlan_type, flow_rules, "the filters would concern frames with the outer tag alone"},
};

const Name& name_of(Feature feature) {
  return *std::find_if(kNames.begin(), kNames.end(), [=](const Name& name) { return name.feature == feature; });
}

}  // namespace

Result<void> check_features(std::uint32_t from, std::uint32_t to, std::string_view port) {
  for (const Exclusion& exclusion : kExclusions) {
    if ((to & exclusion.one) == 0 || (to & exclusion.other) == 0) continue;
    const bool has_one = (from & exclusion.one) != 0;
    const Name& present = name_of(has_one ? exclusion.one : exclusion.other);
    const Name& added = name_of(has_one ? exclusion.other : exclusion.one);
    return fail(ErrorCode::bad_state,
                fmt::format("{}: {} cannot be used with {}: {}", port, added.name, present.name, exclusion.why),
                present.hint);
  }
  return {};
}

}  // namespace pollux::drivers::igb
