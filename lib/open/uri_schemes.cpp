// SPDX-License-Identifier: BSD-3-Clause
#include "open/uri_schemes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>
#include <vector>

#include "backends/qtest/open_qtest.hpp"
#include "backends/sim/open_sim.hpp"
#include "backends/vfio/open_vfio.hpp"
#include "open/drivers.hpp"
#include "open/registry.hpp"
#include "open/uri.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/device/record.hpp"
#include "pollux/open.hpp"
#include "pollux/pci/address.hpp"
#include "ports/null/open_null.hpp"
#include "ports/pcap/open_pcap.hpp"
#include "ports/ring/open_ring.hpp"
#include "ports/tap/open_tap.hpp"

namespace pollux {
namespace {

/// What opens a kind of URI. `which` is what follows the colon.
using OpenDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view which);
using OpenPort = Result<std::unique_ptr<PortDriver>> (*)(Context& context, std::string_view which);
/// A device around another: `argument` is what stands before the inner URI.
using WrapDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view argument,
                                                       std::unique_ptr<Device> inner);

enum class Which : bool { required, optional };

/// A kind of URI. Listed by name, so that a static library never drops one.
struct Kind {
  std::string_view scheme;
  std::string_view example;
  std::variant<OpenDevice, WrapDevice, OpenPort> open;
  Which which = Which::required;  ///< whether anything has to follow the colon
};

/// The backend knows no model, so the cards on its wires are looked up here.
Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which) {
  return sim::open_sim(context, which, [&](std::string_view name) -> Result<sim::ModelFactory> {
    const auto model = context.service<Registry>().find_model(name);
    if (!model) return tl::unexpected<Error>(model.error());
    return (*model)->make;
  });
}

Result<std::unique_ptr<Device>> open_record(Context& context, std::string_view file, std::unique_ptr<Device> inner) {
  const Registry& registry = context.service<Registry>();
  const CardLayout* const layout = registry.find_layout(inner->identity());
  if (layout == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: a card whose rings no driver describes can't be recorded", inner->name()),
                "drivers: " + registry.describe());
  }
  return record_device(context, std::string(file), *layout, std::move(inner));
}

Result<std::unique_ptr<Device>> open_replay(Context& context, std::string_view file) {
  return replay_device(context, std::string(file),
                       [&](const PciIdentity& card) { return context.service<Registry>().find_layout(card); });
}

Result<std::unique_ptr<Device>> open_fault(Context& context, std::string_view fault, std::unique_ptr<Device> inner) {
  auto plan = parse_fault(fault);
  if (!plan) return pass_on(std::move(plan));
  return with_faults(context, std::move(inner), std::make_shared<FaultInjector>(*std::move(plan)));
}

constexpr std::array kKinds{
    // Devices.
    Kind{"vfio", "vfio:0000:01:00.0 (or only 0000:01:00.0), a card bound to vfio-pci", OpenDevice{vfio::open_vfio}},
    Kind{"sim", "sim:0, an in-process card", OpenDevice{open_sim}},
    Kind{"qtest", "qtest:0, a card of a QEMU without a guest", OpenDevice{qtest::open_qtest}},
    Kind{"record", "record:FILE,sim:0, a device, with all it does written to a file", WrapDevice{open_record}},
    Kind{"fault", "fault:removal@1200,sim:0, a device that goes wrong at that register access", WrapDevice{open_fault}},
    Kind{"replay", "replay:FILE, the card of a recording", OpenDevice{open_replay}},
    // Ports that are no card.
    Kind{"ring", "ring:a:0 and ring:a:1 (or ring:a, joined with itself), memory", OpenPort{ring::open_ring}},
    Kind{"pcap", "pcap:in=FILE,out=FILE, capture files", OpenPort{pcap::open_pcap}},
    Kind{"tap", "tap:NAME, a TAP interface of the kernel", OpenPort{tap::open_tap}},
    Kind{"null", "null: or null:?rx=64, nowhere, and frames from nowhere", OpenPort{null::open_null}, Which::optional},
};

std::string known_kinds() {
  std::vector<std::string_view> examples;
  for (const Kind& kind : kKinds) examples.push_back(kind.example);
  return fmt::format("write {}", fmt::join(examples, "; or "));
}

const Kind* find_kind(std::string_view scheme) {
  const auto* const kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) { return k.scheme == scheme; });
  return kind == kKinds.end() ? nullptr : kind;
}

/// A PCI address, with or without the way to it: "0000:01:00.0?via=group".
bool is_pci_address(std::string_view text) { return pci::Address::parse(text.substr(0, text.find('?'))).has_value(); }

/// Whether a URI begins here, as far as its first characters tell.
bool is_uri(std::string_view text) {
  if (is_pci_address(text)) return true;
  const auto uri = Uri::parse(text);
  return uri && find_kind(uri->scheme) != nullptr;
}

struct Named {
  const Kind* kind;
  std::string_view which;
};

Result<Named> look_up(std::string_view uri) {
  const auto parts = Uri::parse(uri);
  if (!parts) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is neither KIND:WHICH nor a PCI address", uri),
                known_kinds());
  }
  const Kind* const kind = find_kind(parts->scheme);
  if (kind == nullptr) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': no kind of port is called '{}'", uri, parts->scheme),
                known_kinds());
  }
  if (parts->which.empty() && kind->which == Which::required) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' does not say which", uri),
                fmt::format("write {}", kind->example));
  }
  return Named{kind, parts->which};
}

Result<std::unique_ptr<Device>> open_around(Context& context, const Named& named, WrapDevice wrap) {
  const auto parts = Wrapping::parse(named.which, is_uri);
  if (!parts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}:{}' does not say which device it goes around", named.kind->scheme, named.which),
                fmt::format("write {}", named.kind->example));
  }
  auto inner = open_device(context, parts->inner);
  if (!inner) return inner;
  return wrap(context, parts->argument, *std::move(inner));
}

Result<std::unique_ptr<Device>> open_named_device(Context& context, const Named& named) {
  if (const auto* open = std::get_if<OpenDevice>(&named.kind->open)) return (*open)(context, named.which);
  if (const auto* wrap = std::get_if<WrapDevice>(&named.kind->open)) return open_around(context, named, *wrap);
  return fail(ErrorCode::invalid_argument,
              fmt::format("'{}:{}' is a port without a card", named.kind->scheme, named.which),
              "name a device here, such as sim:0");
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri) {
  // First, because "ab:00.0" has the look of a scheme, too.
  if (is_pci_address(uri)) return vfio::open_vfio(context, uri);
  auto named = look_up(uri);
  if (!named) return pass_on(std::move(named));
  return open_named_device(context, *named);
}

Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri) {
  if (!is_pci_address(uri)) {
    auto named = look_up(uri);
    if (!named) return pass_on(std::move(named));
    if (const auto* open = std::get_if<OpenPort>(&named->kind->open)) return (*open)(context, named->which);
  }
  auto device = open_device(context, uri);
  if (!device) return pass_on(std::move(device));
  return probe_driver(context, *std::move(device));
}

}  // namespace pollux
