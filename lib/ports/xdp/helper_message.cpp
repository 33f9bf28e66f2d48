// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/helper_message.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "ports/xdp/bpf/rule_code.hpp"

namespace pollux::xdp {
namespace {

constexpr std::size_t kMaxMessage = 131072;
constexpr std::size_t kMaxItems = 16;

}  // namespace

void MessageWriter::number(std::uint32_t value) {
  std::array<std::uint8_t, sizeof value> data{};
  std::memcpy(data.data(), &value, sizeof value);
  all_.insert(all_.end(), data.begin(), data.end());
}

void MessageWriter::bytes(std::span<const std::uint8_t> data) {
  number(static_cast<std::uint32_t>(data.size()));
  all_.insert(all_.end(), data.begin(), data.end());
}

// A rule has no mark here, and no queues: check_rule_code.
void MessageWriter::rules(const std::vector<PlacedRule>& rules) {
  number(static_cast<std::uint32_t>(rules.size()));
  for (const PlacedRule& placed : rules) {
    number(static_cast<std::uint32_t>(static_cast<std::uint64_t>(placed.id)));
    number(placed.slot.value_or(0));
    number(placed.rule.priority);
    number(static_cast<std::uint32_t>(placed.rule.action.kind));
    number(static_cast<std::uint32_t>(placed.rule.match.size()));
    for (const MatchItem& item : placed.rule.match) {
      number(static_cast<std::uint32_t>(item.protocol));
      number(static_cast<std::uint32_t>(item.offset));
      for (const auto* part : {&item.spec, &item.mask, &item.last}) bytes(*part);
    }
  }
}

void MessageWriter::interface(const InterfaceFacts& facts) {
  number(static_cast<std::uint32_t>(facts.id.network));
  number(static_cast<std::uint32_t>(facts.id.network >> 32));
  number(facts.id.index);
  bytes(facts.mac);
  text(facts.driver);
  number(facts.queues);
}

void MessageWriter::state(const InterfaceState& state) {
  number(state.exists ? 1 : 0);
  number(state.is_up ? 1 : 0);
  number(state.link.up ? 1 : 0);
  number(state.link.speed);
  number(state.mtu);
}

std::optional<std::uint32_t> MessageReader::number() noexcept {
  std::uint32_t value = 0;
  if (left_.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, left_.data(), sizeof value);
  left_ = left_.subspan(sizeof value);
  return value;
}

std::optional<std::vector<std::uint8_t>> MessageReader::bytes() {
  const auto size = number();
  if (!size || *size > left_.size()) return std::nullopt;
  std::vector<std::uint8_t> data(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(*size));
  left_ = left_.subspan(*size);
  return data;
}

std::optional<std::string> MessageReader::text() {
  const auto data = bytes();
  if (!data) return std::nullopt;
  return std::string(data->begin(), data->end());
}

std::optional<MatchItem> MessageReader::item() {
  MatchItem item;
  const auto protocol = number();
  const auto offset = number();
  if (!protocol || !offset || *protocol > static_cast<std::uint32_t>(MatchProtocol::raw)) return std::nullopt;
  item.protocol = static_cast<MatchProtocol>(*protocol);
  item.offset = static_cast<std::int32_t>(*offset);
  for (auto* part : {&item.spec, &item.mask, &item.last}) {
    auto data = bytes();
    if (!data) return std::nullopt;
    *part = *std::move(data);
  }
  return item;
}

std::optional<std::vector<PlacedRule>> MessageReader::rules() {
  std::vector<PlacedRule> rules;
  std::set<std::uint32_t> slots;
  const auto count = number();
  if (!count || *count > kMaxRules) return std::nullopt;
  for (std::uint32_t i = 0; i < *count; ++i) {
    PlacedRule placed;
    const auto id = number();
    const auto slot = number();
    const auto priority = number();
    const auto kind = number();
    const auto items = number();
    if (!id || !slot || !priority || !kind || !items || *items > kMaxItems || *slot >= kMaxRules ||
        *kind > static_cast<std::uint32_t>(FlowAction::Kind::kernel) || !slots.insert(*slot).second) {
      return std::nullopt;
    }
    placed.id = FlowRuleId{*id};
    placed.slot = *slot;
    placed.rule.priority = *priority;
    placed.rule.action.kind = static_cast<FlowAction::Kind>(*kind);
    for (std::uint32_t j = 0; j < *items; ++j) {
      auto read = item();
      if (!read) return std::nullopt;
      placed.rule.match.push_back(*std::move(read));
    }
    if (!check_rule(placed.rule)) return std::nullopt;
    rules.push_back(std::move(placed));
  }
  return rules;
}

std::optional<MacAddress> MessageReader::mac() {
  const auto data = bytes();
  MacAddress address{};
  if (!data || data->size() != address.size()) return std::nullopt;
  std::ranges::copy(*data, address.begin());
  return address;
}

std::optional<InterfaceFacts> MessageReader::interface() {
  const auto low = number();
  const auto high = number();
  const auto index = number();
  const auto address = mac();
  auto driver = text();
  const auto queues = number();
  if (!low || !high || !index || !address || !driver || !queues) return std::nullopt;
  return InterfaceFacts{.id = {.network = std::uint64_t{*high} << 32 | *low, .index = *index},
                        .mac = *address,
                        .driver = *std::move(driver),
                        .queues = static_cast<std::uint16_t>(*queues)};
}

std::optional<InterfaceState> MessageReader::state() {
  const auto exists = number();
  const auto is_up = number();
  const auto has_link = number();
  const auto speed = number();
  const auto mtu = number();
  if (!exists || !is_up || !has_link || !speed || !mtu) return std::nullopt;
  return InterfaceState{.exists = *exists != 0,
                        .is_up = *is_up != 0,
                        .link = {.up = *has_link != 0, .speed = *speed, .autonegotiated = false},
                        .mtu = *mtu};
}

int send_message(int socket, std::span<const std::uint8_t> bytes, std::span<const int> descriptors) {
  iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : errno;
}

std::optional<HelperMessage> receive_message(int socket) {
  HelperMessage received;
  received.bytes.resize(kMaxMessage);
  iovec data{received.bytes.data(), received.bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size < 0) return std::nullopt;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t i = 0; i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(head) + i * sizeof descriptor, sizeof descriptor);
      received.descriptors.emplace_back(descriptor);
    }
  }
  received.bytes.resize((message.msg_flags & MSG_TRUNC) != 0 ? 0 : static_cast<std::size_t>(size));
  return received;
}

std::optional<std::vector<std::uint8_t>> receive_request(const PeerSocket& socket) {
  std::vector<std::uint8_t> request(kMaxMessage + 1);
  const ssize_t size = socket.receive(std::as_writable_bytes(std::span(request)));
  if (size <= 0 || static_cast<std::size_t>(size) > kMaxMessage) return std::nullopt;
  request.resize(static_cast<std::size_t>(size));
  return request;
}

}  // namespace pollux::xdp
