// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/open.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backends/vfio/open_vfio.hpp"
#include "device/device_handover.hpp"
#include "net/handover/kept_card.hpp"
#include "net/json/settings_json.hpp"
#include "open/registry.hpp"
#include "pollux/pci/address.hpp"

namespace pollux {
namespace {

Result<void> reject(std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, std::move(what), std::move(hint));
}

}  // namespace

Registry::Registry() { register_built_in(*this); }

Result<void> Registry::add(CardDriver driver) {
  if (driver.name.empty()) return reject("the driver has no name", "name it, such as \"igb\"");
  if (!driver.probe) return reject(fmt::format("the driver '{}' has no probe", driver.name), "set CardDriver::probe");
  if (driver.cards.empty()) {
    return reject(fmt::format("the driver '{}' knows no card", driver.name), "list its cards in CardDriver::cards");
  }
  const std::lock_guard lock(mutex_);
  drivers_.push_front(std::move(driver));
  return {};
}

void Registry::add_scheme(const Scheme& scheme) {
  if (find_scheme(scheme.name)) return;
  const std::lock_guard lock(mutex_);
  schemes_.push_back(scheme);
}

std::optional<Scheme> Registry::find_scheme(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(schemes_.begin(), schemes_.end(), [&](const Scheme& one) { return one.name == name; });
  return found == schemes_.end() ? std::nullopt : std::optional(*found);
}

std::vector<Scheme> Registry::schemes() const {
  const std::lock_guard lock(mutex_);
  return schemes_;
}

std::optional<Registry::Found> Registry::find(const PciIdentity& card) const {
  const std::lock_guard lock(mutex_);
  for (const CardDriver& driver : drivers_) {
    for (const KnownCard& known : driver.cards) {
      if (known.vendor == card.vendor && known.device == card.device) return Found{&driver, &known};
    }
  }
  return std::nullopt;
}

const CardLayout* Registry::find_layout(const PciIdentity& card) const {
  const auto found = find(card);
  return found ? found->driver->layout : nullptr;
}

std::vector<const CardDriver*> Registry::drivers() const {
  const std::lock_guard lock(mutex_);
  std::vector<const CardDriver*> all;
  for (const CardDriver& driver : drivers_) all.push_back(&driver);
  return all;
}

std::string Registry::describe() const {
  std::vector<std::string> lines;
  for (const CardDriver* driver : drivers()) {
    std::vector<std::string> cards;
    for (const KnownCard& card : driver->cards) {
      if (card.not_driven.empty())
        cards.push_back(fmt::format("{:04x}:{:04x} {}", card.vendor, card.device, card.name));
    }
    lines.push_back(fmt::format("{} ({})", driver->name, fmt::join(cards, ", ")));
  }
  return fmt::format("{}", fmt::join(lines, "; "));
}

Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device) {
  const Registry& registry = context.service<Registry>();
  const PciIdentity card = device->identity();
  const auto found = registry.find(card);
  if (!found) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: no driver knows the card {:04x}:{:04x}", device->name(), card.vendor, card.device),
                "supported: " + registry.describe());
  }
  if (!found->card->not_driven.empty()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the {} is not supported", device->name(), found->card->name),
                found->card->not_driven);
  }
  const std::string name = device->name();
  auto port = found->driver->probe(context, std::move(device));
  const auto unclaimed = handover::claim(*context.state(), name);
  if (unclaimed == nullptr || !port) return port;
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the driver {} cannot continue after a crash", name, found->driver->name),
              "leave out keep=; igb cards and xdp: ports can be kept");
}

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

std::optional<WrapUri> WrapUri::parse(std::string_view text, const std::function<bool(std::string_view text)>& is_uri) {
  for (auto comma = text.find(','); comma != std::string_view::npos; comma = text.find(',', comma + 1)) {
    const std::string_view inner = text.substr(comma + 1);
    if (comma != 0 && is_uri(inner)) return WrapUri{.argument = text.substr(0, comma), .inner = inner};
  }
  return std::nullopt;
}

namespace {

std::string scheme_hint(const std::vector<Scheme>& schemes) {
  std::vector<std::string_view> examples;
  for (const Scheme& scheme : schemes) examples.push_back(scheme.example);
  return fmt::format("write {}", fmt::join(examples, "; or "));
}

/// Whether `text` is a PCI address, with or without an access mode: "0000:01:00.0?via=group".
bool is_pci_address(std::string_view text) { return pci::Address::parse(text.substr(0, text.find('?'))).has_value(); }

struct Target {
  Scheme scheme;
  std::string_view which;
};

/// The names of the laboratory's schemes, which a program with the core alone does not have.
constexpr std::array kLaboratory{"sim", "qtest", "record", "fault", "replay", "pcap"};

Result<Target> resolve(const Registry& registry, std::string_view uri) {
  const auto parts = Uri::parse(uri);
  if (!parts) {
    const bool is_interface = ::if_nametoindex(std::string(uri.substr(0, uri.find('?'))).c_str()) != 0;
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is neither SCHEME:ARGUMENT nor a PCI address", uri),
                is_interface ? fmt::format("write xdp:{} for the interface of the kernel that has this name", uri)
                             : scheme_hint(registry.schemes()));
  }
  const auto scheme = registry.find_scheme(parts->scheme);
  if (!scheme) {
    const bool is_known = std::find(kLaboratory.begin(), kLaboratory.end(), parts->scheme) != kLaboratory.end();
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': unknown scheme '{}'", uri, parts->scheme),
                is_known ? "link the component pollux::laboratory, and call add_laboratory(context)"
                         : scheme_hint(registry.schemes()));
  }
  if (parts->which.empty() && scheme->argument == Scheme::Argument::required) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' has nothing after the colon", uri),
                fmt::format("write {}", scheme->example));
  }
  return Target{*scheme, parts->which};
}

std::optional<WrapUri> split(const Registry& registry, std::string_view text) {
  return WrapUri::parse(text, [&](std::string_view inner) {
    if (is_pci_address(inner)) return true;
    const auto uri = Uri::parse(inner);
    return uri && registry.find_scheme(uri->scheme);
  });
}

/// Devices around a device. Each is opened by a call within the call for the one around it.
constexpr unsigned kMaxWrapped = 16;

/// Whether more devices than that are wrapped around each other.
bool is_too_deep(const Registry& registry, Target target) {
  for (unsigned depth = 0; std::holds_alternative<Scheme::WrapDevice>(target.scheme.open); ++depth) {
    if (depth == kMaxWrapped) return true;
    const auto parts = split(registry, target.which);
    if (!parts || is_pci_address(parts->inner)) return false;
    const auto inner = resolve(registry, parts->inner);
    if (!inner) return false;
    target = *inner;
  }
  return false;
}

Result<std::unique_ptr<Device>> open_wrapped(Context& context, const Target& target, Scheme::WrapDevice wrap) {
  const Registry& registry = context.service<Registry>();
  if (is_too_deep(registry, target)) {
    return fail(ErrorCode::invalid_argument, "too many devices are wrapped around each other",
                fmt::format("write at most {} of record: and fault: before a device", kMaxWrapped));
  }
  const auto parts = split(registry, target.which);
  if (!parts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}:{}' does not name the device to wrap", target.scheme.name, target.which),
                fmt::format("write {}", target.scheme.example));
  }
  auto inner = open_device(context, parts->inner);
  if (!inner) return inner;
  return wrap(context, parts->argument, *std::move(inner));
}

Result<std::unique_ptr<Device>> open_named_device(Context& context, const Target& target) {
  if (const auto* open = std::get_if<Scheme::OpenDevice>(&target.scheme.open)) return (*open)(context, target.which);
  if (const auto* wrap = std::get_if<Scheme::WrapDevice>(&target.scheme.open))
    return open_wrapped(context, target, *wrap);
  return fail(ErrorCode::invalid_argument,
              fmt::format("'{}:{}' is a software port, not a device", target.scheme.name, target.which),
              "name a device here, such as sim:0");
}

}  // namespace

Result<std::unique_ptr<Device>> open_card(Context& context, std::string_view which) {
  const auto uri = vfio::parse_uri(which);
  if (!uri || uri->keeper.empty()) return vfio::open_vfio(context, which);
  ContextState& state = *context.state();
  const std::string name = "vfio:" + uri->address.to_string();
  auto dropped = handover::begin_keeping(state, name, uri->keeper);
  if (!dropped) return pass_on(std::move(dropped));
  auto device = vfio::open_vfio(context, which);
  const DeviceRecord* const left = taken_devices(state).find(name);
  const bool has_crashed = left != nullptr && left->ended;  // else Takeover has it
  if (!device && has_crashed) {
    handover::start_anew(state, name, device.error());
    device = vfio::open_vfio(context, which);
    dropped = true;
  }
  // The keeper closes what it has dropped, which resets the card, and this program is told nothing of it.
  const auto is_open = [&] {
    if (device || (device.error().code != ErrorCode::group_in_use && device.error().code != ErrorCode::busy))
      return true;
    device = vfio::open_vfio(context, which);
    return false;
  };
  constexpr Duration kLimit = std::chrono::seconds(5);
  if (*dropped) static_cast<void>(wait_until(context.clock(), name, kLimit, is_open, std::chrono::milliseconds(20)));
  if (has_crashed) taken_devices(state).remove(name);
  if (!device) static_cast<void>(handover::claim(state, name));
  return device;
}

Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri) {
  // Check for a PCI address first, because "ab:00.0" also looks like a URI with a scheme.
  if (is_pci_address(uri)) return open_card(context, uri);
  auto target = resolve(context.service<Registry>(), uri);
  if (!target) return pass_on(std::move(target));
  return open_named_device(context, *target);
}

namespace {

/// The settings that a URI has among its options, which follow the last '?': set.mtu=9000.
struct UriSettings {
  std::string uri;  ///< without them
  std::vector<std::string> changes;

  explicit UriSettings(std::string_view text) : uri(text.substr(0, text.rfind('?'))) {
    char before = '?';
    for (text.remove_prefix(uri.size()); !text.empty();) {
      text.remove_prefix(1);
      const std::string_view option = text.substr(0, text.find(','));
      text.remove_prefix(option.size());
      if (option.starts_with(kPrefix)) {
        changes.emplace_back(option.substr(kPrefix.size()));
      } else {
        uri.append(1, std::exchange(before, ',')).append(option);
      }
    }
  }

 private:
  static constexpr std::string_view kPrefix = "set.";
};

Result<std::unique_ptr<PortDriver>> open_plain_port(Context& context, std::string_view uri) {
  if (!is_pci_address(uri)) {
    auto target = resolve(context.service<Registry>(), uri);
    if (!target) return pass_on(std::move(target));
    if (const auto* open = std::get_if<Scheme::OpenDriver>(&target->scheme.open))
      return (*open)(context, target->which);
  }
  auto device = open_device(context, uri);
  if (!device) return pass_on(std::move(device));
  return probe_driver(context, *std::move(device));
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri) {
  const UriSettings settings(uri);
  if (settings.changes.empty()) return open_plain_port(context, uri);
  auto patch = json::patch_of(settings.changes);
  if (!patch) return pass_on(std::move(patch));
  auto driver = open_plain_port(context, settings.uri);
  if (!driver) return driver;
  const PortLimits& limits = (*driver)->info().limits;
  const auto edit = [uri = std::string(uri), &limits, patch = *std::move(patch),
                     state = context.state()](Settings& all) -> Result<void> {
    auto patched = json::patch_settings(all, patch, limits, *state);
    if (patched) return patched;
    return fail(patched.error().code, fmt::format("'{}': {}", uri, patched.error().what), patched.error().hint);
  };
  Settings any;
  any.rx.resize(limits.max_rx_queues);
  any.tx.resize(limits.max_tx_queues);
  if (auto can = edit(any); !can) return pass_on(std::move(can));
  (*driver)->set_uri_settings(edit);
  return driver;
}

namespace {

// What the device has already holds beside what the program asks for.
Result<Port> start(Context& context, Result<std::unique_ptr<PortDriver>> driver, Settings settings) {
  if (!driver) return pass_on(std::move(driver));
  (*driver)->add_initial(settings);
  Port port(context.state(), *std::move(driver));
  // A port that fails here goes out of scope, which stops and closes it.
  if (auto set = port.change([&](Settings& own) { own = std::move(settings); }); !set) return pass_on(std::move(set));
  if (auto started = port.start(); !started) return pass_on(std::move(started));
  return port;
}

Result<std::unique_ptr<PortDriver>> open_driver(Context& context, std::unique_ptr<Device> device) {
  if (device != nullptr) return probe_driver(context, std::move(device));
  return fail(ErrorCode::invalid_argument, "there is no device to open", "pass a Device, not an empty pointer");
}

}  // namespace

Result<Port> open_unconfigured(Context& context, std::unique_ptr<Device> device) {
  auto driver = open_driver(context, std::move(device));
  if (!driver) return pass_on(std::move(driver));
  return Port(context.state(), *std::move(driver));
}

Result<Port> open_unconfigured(Context& context, std::string_view uri) {
  auto driver = open_port(context, uri);
  if (!driver) return pass_on(std::move(driver));
  return Port(context.state(), *std::move(driver));
}

Result<Port> open(Context& context, std::string_view uri, Settings settings) {
  return start(context, open_port(context, uri), std::move(settings));
}

Result<Port> open(Context& context, std::unique_ptr<Device> device, Settings settings) {
  return start(context, open_driver(context, std::move(device)), std::move(settings));
}

std::vector<SupportedCard> supported_cards(Context& context) {
  std::vector<SupportedCard> all;
  for (const CardDriver* driver : context.service<Registry>().drivers()) {
    for (const KnownCard& card : driver->cards) all.push_back({.driver = driver->name, .card = card});
  }
  return all;
}

Result<void> add_driver(Context& context, CardDriver driver) {
  return context.service<Registry>().add(std::move(driver));
}

}  // namespace pollux
