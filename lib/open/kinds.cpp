// SPDX-License-Identifier: BSD-3-Clause
#include "open/kinds.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "backends/sim/open_sim.hpp"
#include "backends/vfio/open_vfio.hpp"
#include "models/igb/card.hpp"
#include "pollux/pci/address.hpp"

namespace pollux {
namespace {

/// A kind of URI, and what reaches its devices. Listed by name, so that a static library never drops one.
struct Kind {
  std::string_view scheme;
  std::string_view example;
  /// `which` is what follows the colon, never empty.
  Result<std::unique_ptr<Device>> (*open)(Context& context, std::string_view which);
};

/// The backend knows no model, so the cards on its wires are chosen here.
Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which) {
  return sim::open_sim(context, which, models::igb::make_card);
}

constexpr std::array kKinds{
    Kind{"vfio", "vfio:0000:01:00.0 (or only 0000:01:00.0), a card bound to vfio-pci", vfio::open_vfio},
    Kind{"sim", "sim:0, an in-process card", open_sim},
};

std::string known_kinds() {
  std::vector<std::string_view> examples;
  for (const Kind& kind : kKinds) examples.push_back(kind.example);
  return fmt::format("write {}", fmt::join(examples, "; or "));
}

/// RFC 3986, 3.1: a letter, then letters, digits, "+", "-" and ".". Only lower case is in use.
bool is_scheme(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto may_follow = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), may_follow);
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri) {
  // First, because "ab:00.0" has the look of a scheme, too.
  if (pci::Address::parse(uri)) return vfio::open_vfio(context, uri);
  const auto colon = uri.find(':');
  const std::string_view scheme = uri.substr(0, colon);
  if (colon == std::string_view::npos || !is_scheme(scheme)) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is neither KIND:WHICH nor a PCI address", uri),
                known_kinds());
  }
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) { return k.scheme == scheme; });
  if (kind == kKinds.end()) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': no kind of port is called '{}'", uri, scheme),
                known_kinds());
  }
  const std::string_view which = uri.substr(colon + 1);
  if (which.empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' does not say which", uri),
                fmt::format("write {}", kind->example));
  }
  return kind->open(context, which);
}

}  // namespace pollux
