// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

/// The attributes of netlink messages. netlink(7), rtnetlink(7).
namespace pollux::xdp {

/// Calls `use` with the type and the data of each attribute.
template <class Function>
void for_each_attribute(std::string_view bytes, Function&& use) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr head{};
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) return;
    use(head.rta_type & NLA_TYPE_MASK, bytes.substr(sizeof head, head.rta_len - sizeof head));
    bytes.remove_prefix(std::min<std::size_t>(RTA_ALIGN(head.rta_len), bytes.size()));
  }
}

/// A number in an attribute; 0 if the attribute is shorter.
template <class Number>
[[nodiscard]] Number number_in(std::string_view data) noexcept {
  Number value = 0;
  if (data.size() >= sizeof value) std::memcpy(&value, data.data(), sizeof value);
  return value;
}

}  // namespace pollux::xdp
