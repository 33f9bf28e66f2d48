// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// Questions to the kernel and their answers: netlink(7), rtnetlink(7).
namespace pollux::xdp {

/// Asks about what `about` names; with NLM_F_DUMP in `flags`, about all.
template <class About>
[[nodiscard]] bool ask_kernel(int netlink, std::uint16_t type, std::uint16_t flags, const About& about) {
  struct {
    nlmsghdr head{};
    About about{};
  } request;
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = type;
  request.head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.about = about;
  return ::send(netlink, &request, sizeof request, 0) == sizeof request;
}

enum class Answer { goes_on, ends, fails };

/// Waits for a part of an answer. Calls `use` with the fixed part and the attributes of each message, which has to be
/// of that type.
template <class About, class Function>
[[nodiscard]] Answer read_answer(int netlink, std::uint16_t type, Function&& use) {
  std::array<char, 32768> answer;  // as large as the kernel's own buffer
  const auto received = ::recv(netlink, answer.data(), answer.size(), 0);
  if (received <= 0) return Answer::fails;
  std::string_view bytes(answer.data(), static_cast<std::size_t>(received));
  while (bytes.size() >= sizeof(nlmsghdr)) {
    nlmsghdr head{};
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nlmsg_type == NLMSG_DONE) return Answer::ends;
    if (head.nlmsg_type != type || head.nlmsg_len > bytes.size() || head.nlmsg_len < NLMSG_LENGTH(sizeof(About))) {
      return Answer::fails;
    }
    About about{};
    std::memcpy(&about, bytes.data() + NLMSG_HDRLEN, sizeof about);
    constexpr std::size_t kAttributes = NLMSG_SPACE(sizeof(About));
    use(about, bytes.substr(kAttributes, head.nlmsg_len - kAttributes));
    bytes.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), bytes.size()));
  }
  return Answer::goes_on;
}

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
