// SPDX-License-Identifier: BSD-3-Clause
#include "open/uri_schemes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>
#include <vector>

#include "backends/qtest/device.hpp"
#include "backends/sim/open_sim.hpp"
#include "backends/vfio/open_vfio.hpp"
#include "open/built_in.hpp"
#include "open/registry.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/device/record.hpp"
#include "pollux/open.hpp"
#include "pollux/pci/address.hpp"
#include "ports/null/open_null.hpp"
#include "ports/pcap/open_pcap.hpp"
#include "ports/ring/open_ring.hpp"
#include "ports/tap/open_tap.hpp"
#include "ports/xdp/open_xdp.hpp"

namespace pollux {

std::optional<Uri> Uri::parse(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view scheme = text.substr(0, colon);
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto may_follow = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  if (!is_letter(scheme.front()) || !std::all_of(scheme.begin(), scheme.end(), may_follow)) return std::nullopt;
  return Uri{.scheme = scheme, .which = text.substr(colon + 1)};
}

std::optional<WrapUri> WrapUri::parse(std::string_view text, bool (*is_uri)(std::string_view text)) {
  for (auto comma = text.find(','); comma != std::string_view::npos; comma = text.find(',', comma + 1)) {
    const std::string_view inner = text.substr(comma + 1);
    if (comma != 0 && is_uri(inner)) return WrapUri{.argument = text.substr(0, comma), .inner = inner};
  }
  return std::nullopt;
}

namespace {

/// Functions that open a device or port. `which` is the text after the colon.
using OpenDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view which);
using OpenDriver = Result<std::unique_ptr<PortDriver>> (*)(Context& context, std::string_view which);
/// Wraps `inner` in another device. `argument` is the text before the inner URI.
using WrapDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view argument,
                                                       std::unique_ptr<Device> inner);

enum class Argument : bool { required, optional };

/// A URI scheme and the function that opens it. The schemes are listed explicitly, so that the linker does not drop any
/// from a static library.
struct Scheme {
  std::string_view name;
  std::string_view example;
  std::variant<OpenDevice, WrapDevice, OpenDriver> open;
  Argument argument = Argument::required;  ///< whether text must follow the colon
};

/// `text`: NAME, NAME+OPTION+OPTION..., or two of them, EVEN/ODD, for the cards with even and odd numbers.
Result<sim::ModelFactory> find_card(const Registry& registry, std::string_view text) {
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    auto even = find_card(registry, text.substr(0, slash));
    if (!even) return even;
    auto odd = find_card(registry, text.substr(slash + 1));
    if (!odd) return odd;
    return [even = *std::move(even), odd = *std::move(odd)](unsigned number) {
      return number % 2 == 0 ? even(number) : odd(number);
    };
  }
  const auto plus = text.find('+');
  const auto model = registry.find_model(text.substr(0, plus));
  if (!model) return tl::unexpected<Error>(model.error());
  if (plus == std::string_view::npos) return (*model)->make;
  return card_with_options((*model)->name, text.substr(plus + 1));
}

/// The sim backend does not know the models, so this function finds the model for it.
Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which) {
  return sim::open_sim(context, which,
                       [&](std::string_view name) { return find_card(context.service<Registry>(), name); });
}

Result<std::unique_ptr<Device>> open_record(Context& context, std::string_view file, std::unique_ptr<Device> inner) {
  const Registry& registry = context.service<Registry>();
  const CardLayout* const layout = registry.find_layout(inner->identity());
  if (layout == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: cannot record this card: no driver describes its rings", inner->name()),
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

constexpr std::array kSchemes{
    // Devices.
    Scheme{"vfio", "vfio:0000:01:00.0 (or only 0000:01:00.0), a card bound to vfio-pci", OpenDevice{vfio::open_vfio}},
    Scheme{"sim", "sim:0, an in-process card", OpenDevice{open_sim}},
    Scheme{"qtest", "qtest:0, a card of a QEMU without a guest", OpenDevice{qtest::open_qtest}},
    Scheme{"record", "record:FILE,sim:0, a device whose operation is recorded to a file", WrapDevice{open_record}},
    Scheme{"fault", "fault:removal@1200,sim:0, a device with a fault injected at that register access",
           WrapDevice{open_fault}},
    Scheme{"replay", "replay:FILE, the card of a recording", OpenDevice{open_replay}},
    // Software ports.
    Scheme{"ring", "ring:a:0 and ring:a:1 (or ring:a, connected to itself), a ring in memory",
           OpenDriver{ring::open_ring}},
    Scheme{"pcap", "pcap:in=FILE,out=FILE, capture files", OpenDriver{pcap::open_pcap}},
    Scheme{"tap", "tap:NAME or tap:NAME?superframes, a TAP interface of the kernel", OpenDriver{tap::open_tap}},
    Scheme{"xdp", "xdp:NAME or xdp:NAME?mode=copy, an interface of the kernel, by AF_XDP", OpenDriver{xdp::open_xdp}},
    Scheme{"null", "null: or null:?rx=64, a port that discards frames and generates them", OpenDriver{null::open_null},
           Argument::optional},
};

std::string scheme_hint() {
  std::vector<std::string_view> examples;
  for (const Scheme& scheme : kSchemes) examples.push_back(scheme.example);
  return fmt::format("write {}", fmt::join(examples, "; or "));
}

const Scheme* find_scheme(std::string_view name) {
  const auto* const found =
      std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme& scheme) { return scheme.name == name; });
  return found == kSchemes.end() ? nullptr : found;
}

/// Whether `text` is a PCI address, with or without an access mode: "0000:01:00.0?via=group".
bool is_pci_address(std::string_view text) { return pci::Address::parse(text.substr(0, text.find('?'))).has_value(); }

/// Whether `text` is a PCI address or begins with a known scheme.
bool is_uri(std::string_view text) {
  if (is_pci_address(text)) return true;
  const auto uri = Uri::parse(text);
  return uri && find_scheme(uri->scheme) != nullptr;
}

struct Target {
  const Scheme* scheme;
  std::string_view which;
};

Result<Target> resolve(std::string_view uri) {
  const auto parts = Uri::parse(uri);
  if (!parts) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is neither SCHEME:ARGUMENT nor a PCI address", uri),
                scheme_hint());
  }
  const Scheme* const scheme = find_scheme(parts->scheme);
  if (scheme == nullptr) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': unknown scheme '{}'", uri, parts->scheme),
                scheme_hint());
  }
  if (parts->which.empty() && scheme->argument == Argument::required) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' has nothing after the colon", uri),
                fmt::format("write {}", scheme->example));
  }
  return Target{scheme, parts->which};
}

/// Devices around a device. Each is opened by a call within the call for the one around it.
constexpr unsigned kMaxWrapped = 16;

/// Whether more devices than that are wrapped around each other.
bool is_too_deep(Target target) {
  for (unsigned depth = 0; std::holds_alternative<WrapDevice>(target.scheme->open); ++depth) {
    if (depth == kMaxWrapped) return true;
    const auto parts = WrapUri::parse(target.which, is_uri);
    if (!parts || is_pci_address(parts->inner)) return false;
    const auto inner = resolve(parts->inner);
    if (!inner) return false;
    target = *inner;
  }
  return false;
}

Result<std::unique_ptr<Device>> open_wrapped(Context& context, const Target& target, WrapDevice wrap) {
  if (is_too_deep(target)) {
    return fail(ErrorCode::invalid_argument, "too many devices are wrapped around each other",
                fmt::format("write at most {} of record: and fault: before a device", kMaxWrapped));
  }
  const auto parts = WrapUri::parse(target.which, is_uri);
  if (!parts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}:{}' does not name the device to wrap", target.scheme->name, target.which),
                fmt::format("write {}", target.scheme->example));
  }
  auto inner = open_device(context, parts->inner);
  if (!inner) return inner;
  return wrap(context, parts->argument, *std::move(inner));
}

Result<std::unique_ptr<Device>> open_named_device(Context& context, const Target& target) {
  if (const auto* open = std::get_if<OpenDevice>(&target.scheme->open)) return (*open)(context, target.which);
  if (const auto* wrap = std::get_if<WrapDevice>(&target.scheme->open)) return open_wrapped(context, target, *wrap);
  return fail(ErrorCode::invalid_argument,
              fmt::format("'{}:{}' is a software port, not a device", target.scheme->name, target.which),
              "name a device here, such as sim:0");
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri) {
  // Check for a PCI address first, because "ab:00.0" also looks like a URI with a scheme.
  if (is_pci_address(uri)) return vfio::open_vfio(context, uri);
  auto target = resolve(uri);
  if (!target) return pass_on(std::move(target));
  return open_named_device(context, *target);
}

Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri) {
  if (!is_pci_address(uri)) {
    auto target = resolve(uri);
    if (!target) return pass_on(std::move(target));
    if (const auto* open = std::get_if<OpenDriver>(&target->scheme->open)) return (*open)(context, target->which);
  }
  auto device = open_device(context, uri);
  if (!device) return pass_on(std::move(device));
  return probe_driver(context, *std::move(device));
}

}  // namespace pollux
