// SPDX-License-Identifier: BSD-3-Clause
#include "base/uri_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/shell_words.hpp"

namespace pollux {

Result<UriOptions> UriOptions::parse(std::string_view text, std::span<const std::string_view> known,
                                     std::string_view uri, std::string_view example) {
  UriOptions options;
  options.uri_ = uri;
  const auto reject = [&](std::string what) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", uri, what), fmt::format("write {}", example));
  };
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const std::string_view option = text.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
    const auto equals = option.find('=');
    const std::string_view key = option.substr(0, equals);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return reject(fmt::format("unknown option '{}'; the options are {} (file names must not contain commas)", key,
                                fmt::join(known.begin(), known.end(), ", ")));
    }
    if (options.has(key)) return reject(fmt::format("option '{}' is given twice", key));
    const bool has_value = equals != std::string_view::npos;
    if (has_value && equals + 1 == option.size()) return reject(fmt::format("'{}=': the value is empty", key));
    options.options_.push_back({key, has_value ? option.substr(equals + 1) : std::string_view(), has_value});
  }
  return options;
}

std::optional<std::string_view> UriOptions::get(std::string_view key) const noexcept {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  if (found == options_.end()) return std::nullopt;
  return found->value;
}

Result<bool> UriOptions::flag(std::string_view key) const {
  constexpr std::array<std::string_view, 4> kOn{"1", "on", "yes", "true"};
  constexpr std::array<std::string_view, 4> kOff{"0", "off", "no", "false"};
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  if (found == options_.end()) return false;
  if (!found->has_value || std::ranges::find(kOn, found->value) != kOn.end()) return true;
  if (std::ranges::find(kOff, found->value) != kOff.end()) return false;
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': '{}={}' is neither on nor off", uri_, key, found->value),
              fmt::format("write {0}, {0}=on or {0}=off", key));
}

// Linux, net/core/dev.c, dev_valid_name. '%' is rejected, too: the kernel treats it as a pattern. The names of folders
// under /proc/sys/net that stand for all interfaces are reserved (net/ipv4/devinet.c, sysctl_dev_name_is_allowed).
Result<void> check_interface_name(std::string_view name, std::string_view what) {
  // 0xA0 is a space to the kernel (lib/ctype.c), in whatever encoding.
  const auto is_bad = [](unsigned char c) {
    return c == '/' || c == ':' || c == '%' || c <= ' ' || c == 0x7F || c == 0xA0;
  };
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." || std::ranges::any_of(name, is_bad)) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': not a valid interface name", what),
                fmt::format("use 1 to {} characters, none of them a space, '/', ':' or '%'", IFNAMSIZ - 1));
  }
  if (name == "all" || name == "default") {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': the kernel reserves the name '{}'", what, name),
                "choose another name");
  }
  return {};
}

Result<void> check_end_of_name(std::string_view text, std::string_view uri) {
  for (std::size_t mark = text.find('?'); mark != std::string_view::npos;) {
    mark = text.find('?', mark + 1);
    const std::string name(text.substr(0, mark));
    if (::if_nametoindex(name.c_str()) == 0) continue;
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}': the interface '{}' has a '?' in its name, behind which a URI has options", uri, name),
        fmt::format("rename it: ip link set dev {} name NAME", shell_quoted(name)));
  }
  return {};
}

}  // namespace pollux
