// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/record.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/printable.hpp"

namespace pollux::handover {
namespace {

constexpr json::JsonLimits kLimits{.keys = 4096, .depth = 20, .values = 1U << 16};
/// As many as a ring has slots.
constexpr std::size_t kMaxBuffers = 4096;

}  // namespace

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("the record of a handover is malformed: {}", what),
              "start the new program without a handover, after the old one has ended");
}

Result<FileDescriptor> PortRecord::take(std::string_view wanted) {
  const auto found = std::ranges::find_if(descriptors, [&](const auto& one) { return one.name == wanted && one.file; });
  if (found == descriptors.end()) return malformed(fmt::format("'{}' has no descriptor '{}'", printable(name), wanted));
  return std::move(found->file);
}

Result<std::uint64_t> number(const Json& object, const char* name, std::uint64_t most) {
  if (object.is_object()) {
    const auto found = object.find(name);
    if (found != object.end() && found->is_number_unsigned() && found->get<std::uint64_t>() <= most)
      return found->get<std::uint64_t>();
  }
  return malformed(fmt::format("'{}' is not a number up to {}", name, most));
}

Result<std::string> text(const Json& object, const char* name) {
  if (object.is_object()) {
    const auto found = object.find(name);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
  }
  return malformed(fmt::format("'{}' is not a text", name));
}

Result<std::vector<std::uint64_t>> numbers(const Json& object, const char* name, std::size_t count,
                                           std::uint64_t most) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_array() || found->size() > count)
    return malformed(fmt::format("'{}' is not a list of up to {} numbers", name, count));
  std::vector<std::uint64_t> all;
  for (const Json& one : *found) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() > most)
      return malformed(fmt::format("'{}' has a value that is not a number up to {}", name, most));
    all.push_back(one.get<std::uint64_t>());
  }
  return all;
}

Result<PortRecord> read_port(Json json, std::vector<FileDescriptor> descriptors) {
  PortRecord port;
  auto name = text(json, "name");
  if (!name) return pass_on(std::move(name));
  auto driver = text(json, "driver");
  if (!driver) return pass_on(std::move(driver));
  port.name = *std::move(name);
  port.driver = *std::move(driver);
  for (const auto& [key, to] : {std::pair{"settings", &port.settings}, std::pair{"details", &port.details}}) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_object()) return malformed(fmt::format("'{}' is not an object", key));
    *to = std::move(*found);
  }
  const auto names = json.find("descriptors");
  if (names == json.end() || !names->is_array() || names->size() != descriptors.size())
    return malformed(fmt::format("'descriptors' does not name the {} that came", descriptors.size()));
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (!(*names)[i].is_string()) return malformed("'descriptors' has a value that is not a text");
    port.descriptors.push_back({(*names)[i].get<std::string>(), std::move(descriptors[i])});
  }
  return port;
}

Json to_json(const QueueRecord& queue) {
  return {{"posted", queue.posted},
          {"in_flight", queue.in_flight},
          {"free", queue.free},
          {"given", queue.given},
          {"counts", queue.counts}};
}

Result<QueueRecord> read_queue(const Json& json) {
  QueueRecord queue;
  for (const auto& [name, to] : {std::pair{"posted", &queue.posted}, std::pair{"in_flight", &queue.in_flight}}) {
    const auto value = number(json, name, kMaxBuffers);
    if (!value) return tl::unexpected<Error>(value.error());
    *to = static_cast<std::uint32_t>(*value);
  }
  for (const auto& [name, to] :
       {std::pair{"free", &queue.free}, std::pair{"given", &queue.given}, std::pair{"counts", &queue.counts}}) {
    auto list = numbers(json, name, kMaxBuffers, ~std::uint64_t{0});
    if (!list) return pass_on(std::move(list));
    *to = *std::move(list);
  }
  return queue;
}

Result<Json> parse(std::string_view bytes) {
  Json json = json::parse_bounded(bytes, kLimits);
  const auto kind = json.is_object() ? json.find("message") : json.end();
  if (!json.is_object() || kind == json.end() || !kind->is_string()) return malformed("a message is not one of these");
  return json;
}

namespace {

/// Room for a message's descriptors.
union Control {
  std::byte bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  cmsghdr aligned;
};

std::vector<FileDescriptor> descriptors_of(msghdr& header) {
  std::vector<FileDescriptor> all;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      all.emplace_back(number);
    }
  }
  return all;
}

}  // namespace

int send_bytes(int socket, std::string bytes, std::span<const int> descriptors, int flags) noexcept {
  iovec part{bytes.data(), bytes.size()};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = &control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(first), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(socket, &header, MSG_NOSIGNAL | flags) >= 0 ? 0 : errno;
}

Result<void> send(int socket, const Json& json, std::span<const int> descriptors, int flags) {
  std::string bytes = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (bytes.size() > kMaxMessage || descriptors.size() > kMaxDescriptors)
    return fail(ErrorCode::not_supported, "a port is too large for a handover", "use fewer queues or flow rules");
  const int error = send_bytes(socket, std::move(bytes), descriptors, flags);
  if (error == 0) return {};
  return fail_errno(ErrorCode::io_error, "the other program of a handover takes no message", error,
                    "see what it says; if it still runs, try again");
}

Result<Message> receive(int socket, std::string_view expected) {
  std::string bytes(kMaxMessage, '\0');
  iovec part{bytes.data(), bytes.size()};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  const ssize_t count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  const int error = errno;
  if (count <= 0) {
    const bool late = count < 0 && (error == EAGAIN || error == EWOULDBLOCK);
    return fail(late ? ErrorCode::timeout : ErrorCode::io_error,
                fmt::format("the program that offers a handover {}", late ? "does not answer" : "has ended it"),
                "see what it says; if it still runs, try again");
  }
  Message message{.json = {}, .descriptors = descriptors_of(header)};
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return malformed("a message is too long");
  bytes.resize(static_cast<std::size_t>(count));
  auto json = parse(bytes);
  if (!json) return pass_on(std::move(json));
  message.json = *std::move(json);
  const Json& kind = message.json["message"];
  if (kind == "refused") {
    const auto what = text(message.json, "what");
    const auto hint = text(message.json, "hint");
    const auto code = number(message.json, "code", static_cast<std::uint64_t>(ErrorCode::in_use_by_host));
    if (!what || !hint || !code) return malformed("a refusal has no reason");
    return fail(static_cast<ErrorCode>(*code), printable(*what), printable(*hint));
  }
  if (kind != expected) return malformed(fmt::format("'{}' was expected", expected));
  return message;
}

Json refusal(const Error& error) {
  return {
      {"message", "refused"}, {"code", static_cast<unsigned>(error.code)}, {"what", error.what}, {"hint", error.hint}};
}

bool is_trusted(int socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == ::geteuid());
}

}  // namespace pollux::handover
