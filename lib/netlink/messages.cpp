// SPDX-License-Identifier: BSD-3-Clause
#include "netlink/messages.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

namespace pollux::netlink {
namespace {

constexpr std::size_t padded(std::size_t length) { return (length + 3U) & ~std::size_t{3}; }

/// The request that an error is about, as long as the kernel repeats it; it lies before the attributes.
std::size_t repeated_bytes(const nlmsghdr& header, Bytes payload) {
  if ((header.nlmsg_flags & NLM_F_CAPPED) != 0) return 0;
  const auto error = read<nlmsgerr>(payload);
  return error && error->msg.nlmsg_len > sizeof(nlmsghdr) ? error->msg.nlmsg_len - sizeof(nlmsghdr) : 0;
}

std::string read_remark(const nlmsghdr& header, Bytes payload) {
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const std::size_t before =
      header.nlmsg_type == NLMSG_DONE ? sizeof(int) : sizeof(nlmsgerr) + repeated_bytes(header, payload);
  return read_string(find_attribute(after_header(payload, before), NLMSGERR_ATTR_MSG));
}

}  // namespace

std::string read_string(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    if (byte == std::byte{0}) break;
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

Bytes after_header(Bytes bytes, std::size_t size) { return bytes.subspan(std::min(padded(size), bytes.size())); }

void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t, Bytes)>& found) {
  while (const auto header = read<nlattr>(bytes)) {
    if (header->nla_len < sizeof(nlattr) || header->nla_len > bytes.size()) return;
    const auto type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK);
    found(type, bytes.first(header->nla_len).subspan(sizeof(nlattr)));
    bytes = after_header(bytes, header->nla_len);
  }
}

Bytes find_attribute(Bytes bytes, std::uint16_t wanted) {
  Bytes payload;
  for_each_attribute(bytes, [&](std::uint16_t type, Bytes found) {
    if (type == wanted) payload = found;
  });
  return payload;
}

void for_each_next_hop(Bytes bytes, const std::function<void(Bytes)>& found) {
  while (const auto hop = read<rtnexthop>(bytes)) {
    if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > bytes.size()) return;
    found(bytes.first(hop->rtnh_len));
    bytes = after_header(bytes, hop->rtnh_len);
  }
}

bool for_each_message(Bytes datagram, const std::function<void(const nlmsghdr&, Bytes)>& found) {
  while (const auto header = read<nlmsghdr>(datagram)) {
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > datagram.size()) return false;
    found(*header, datagram.first(header->nlmsg_len).subspan(sizeof(nlmsghdr)));
    datagram = after_header(datagram, header->nlmsg_len);
  }
  return datagram.empty();
}

std::optional<Ending> read_ending(const nlmsghdr& header, Bytes payload, bool is_dump) {
  const bool done = header.nlmsg_type == NLMSG_DONE;
  if (!done && header.nlmsg_type != NLMSG_ERROR) return std::nullopt;
  const std::int64_t result = read<int>(payload).value_or(done ? 0 : -EBADMSG);
  if (result < 0)
    return Ending{static_cast<int>(std::min<std::int64_t>(-result, INT32_MAX)), read_remark(header, payload)};
  if (!done && is_dump) return std::nullopt;
  return Ending{};
}

Payload& Payload::add(std::uint16_t type, Bytes value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  append(&header, sizeof header);
  append(value.data(), value.size());
  return *this;
}

void Payload::append(const void* data, std::size_t size) {
  if (size == 0) return;
  const std::size_t at = bytes_.size();
  bytes_.resize(at + padded(size));
  std::memcpy(bytes_.data() + at, data, size);
}

}  // namespace pollux::netlink
