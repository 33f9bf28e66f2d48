// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/open_xdp.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "base/uri_options.hpp"
#include "ports/xdp/port.hpp"

namespace pollux::xdp {
namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes{
    {{"zero-copy", Mode::zero_copy}, {"copy", Mode::copy}, {"generic", Mode::generic}}};

Result<Mode> parse_mode(std::string_view text, const std::string& uri) {
  for (const auto& [name, mode] : kModes) {
    if (name == text) return mode;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no mode '{}'", uri, text),
              "write mode=zero-copy, mode=copy or mode=generic");
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_xdp(Context& context, std::string_view which) {
  const std::string uri = fmt::format("xdp:{}", which);
  const std::size_t question = which.find('?');
  constexpr std::array<std::string_view, 1> kKeys{"mode"};
  Result<UriOptions> options;
  if (question != std::string_view::npos) {
    options = UriOptions::parse(which.substr(question + 1), kKeys, uri, "xdp:NAME or xdp:NAME?mode=copy");
  }
  if (!options) return pass_on(std::move(options));
  Result<Mode> mode = Mode::best;
  if (const auto text = options->get("mode")) mode = parse_mode(*text, uri);
  if (!mode) return pass_on(std::move(mode));
  auto interface = Interface::find(which.substr(0, question));
  if (!interface) return pass_on(std::move(interface));
  auto control_events = DeletionEvents::subscribe(*interface);
  if (!control_events) return pass_on(std::move(control_events));
  auto queue_events = DeletionEvents::subscribe(*interface);
  if (!queue_events) return pass_on(std::move(queue_events));
  auto& memory = context.service<SharedMemory>();
  if (auto followed = memory.follow(context); !followed) return pass_on(std::move(followed));
  const unsigned index = interface->index();
  if (auto opened = memory.open(index, uri); !opened) return pass_on(std::move(opened));
  const std::string what = fmt::format("an interface of the kernel's driver {}",
                                       interface->driver().empty() ? "(unknown)" : interface->driver());
  const MacAddress mac = interface->mac();
  auto port = ports::make_port<XdpPort>(context, uri, mac,
                                        Parts{*std::move(interface), *std::move(control_events),
                                              *std::move(queue_events), memory, *mode, kernel_has_chains()},
                                        what);
  if (!port) memory.close(index);
  return port;
}

}  // namespace pollux::xdp
