// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/helper_session.hpp"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include "base/shell_words.hpp"
#include "ports/xdp/bpf/rule_code.hpp"
#include "ports/xdp/socket.hpp"

namespace pollux::xdp {
namespace {

/// The answer `made`, if there is one.
template <class Answer>
Result<Answer> with_descriptor(Result<FileDescriptor> made) {
  if (!made) return pass_on(std::move(made));
  Answer answer;
  answer.made.push_back(*std::move(made));
  return answer;
}

}  // namespace

HelperSession::Served HelperSession::serve() noexcept {
  try {
    return answer_is_taken() ? serve_request() : Served::too_early;
  } catch (const std::exception&) {
    return Served::ended;
  }
}

// What is in the other end's queue is charged to this one until it is received or that end is closed.
bool HelperSession::answer_is_taken() const noexcept {
  int bytes = 0;
  return ::ioctl(connection_.get(), SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

HelperSession::Served HelperSession::serve_request() {
  const auto received = receive_request(connection_);
  if (!received) return Served::ended;
  MessageReader request(*received);
  const auto result = answer(request);
  if (!result) return Served::ended;
  MessageWriter reply;
  std::vector<int> descriptors;
  if (*result) {
    const Answer& answer = **result;
    reply.number(0);
    reply.number(answer.number);
    reply.text(answer.text);
    reply.text("");
    reply.interface(answer.facts);
    reply.state(answer.state);
    for (const FileDescriptor& made : answer.made) descriptors.push_back(made.get());
    if (answer.shown >= 0) descriptors.push_back(answer.shown);
  } else {
    reply.number(static_cast<std::uint32_t>(result->error().code) + 1);
    reply.number(0);
    reply.text(result->error().what);
    reply.text(result->error().hint);
  }
  const int error = send_message(connection_.get(), reply.all(), descriptors);
  if (error == 0) return Served::answered;
  if (error != EPIPE && error != ECONNRESET) send_error_ = error;  // these: the port has ended
  return Served::ended;
}

std::optional<Result<HelperSession::Answer>> HelperSession::answer(MessageReader& request) {
  const auto number = request.number();
  if (!number) return std::nullopt;
  const auto call = static_cast<HelperCall>(*number);
  if (!kernel_) return call == HelperCall::open ? answer_open(request) : std::nullopt;
  switch (call) {
    case HelperCall::open: break;
    case HelperCall::socket: return answer_socket(request);
    case HelperCall::counters: has_counters_ = true; return with_descriptor<Answer>(kernel_->make_counters());
    case HelperCall::load:
    case HelperCall::replace: return answer_rules(request, call == HelperCall::replace);
    case HelperCall::attach: {
      const auto where = request.number();
      if (!where || *where > static_cast<std::uint32_t>(Attach::generic)) return std::nullopt;
      const int error = kernel_->attach(static_cast<Attach>(*where));
      return Answer{.number = static_cast<std::uint32_t>(error), .shown = kernel_->link()};
    }
    case HelperCall::detach: kernel_->detach(); return Answer{};
    case HelperCall::join: return answer_join(request);
    case HelperCall::program: return Answer{.text = kernel_->other_program()};
    case HelperCall::route: {
      const auto rules = request.rules();
      if (!rules) return std::nullopt;
      return Answer{.text = policy_.force ? std::string() : kernel_->route_at_risk(*rules)};
    }
    case HelperCall::state: return Answer{.state = interface_->state()};
    case HelperCall::subscribe: return answer_subscribe();
  }
  return std::nullopt;
}

std::optional<Result<HelperSession::Answer>> HelperSession::answer_open(MessageReader& request) {
  const auto version = request.number();
  const auto name = request.text();
  if (!version || !name) return std::nullopt;
  const auto made = [&]() -> Result<Answer> {
    if (*version != kHelperVersion) {
      return fail(ErrorCode::not_supported, fmt::format("xdp:{}: the helper is of another version", *name),
                  "use the helper of the same version");
    }
    if (std::ranges::find(policy_.interfaces, *name) == policy_.interfaces.end()) {
      return fail(ErrorCode::permission_denied, fmt::format("xdp:{}: the helper does not offer this interface", *name),
                  fmt::format("as root: pollux xdp-helper --interface {}", shell_quoted(*name)));
    }
    auto interface = Interface::find(*name);
    if (!interface) return pass_on(std::move(interface));
    interface_ = std::make_unique<Interface>(*std::move(interface));
    kernel_.emplace(fmt::format("xdp:{}", *name), *interface_);
    return Answer{.number = std::uint32_t{kernel_->hints()} << 1 | (kernel_->has_chains() ? 1U : 0U),
                  .facts = interface_->facts()};
  };
  return made();
}

// The helper makes the rings, since the kernel limits neither their sizes nor the memory that they take: a ring that
// the port does not want has one slot, so that it cannot make another one there.
std::optional<Result<HelperSession::Answer>> HelperSession::answer_socket(MessageReader& request) {
  const auto busy_poll = request.number();
  const auto rx = request.number();
  const auto tx = request.number();
  if (!busy_poll || !rx || !tx || *rx > kMaxSlots || *tx > kMaxSlots) return std::nullopt;
  const RingSlots slots{.rx = std::max(*rx, 1U), .tx = std::max(*tx, 1U)};
  auto made = kernel_->make_socket(*busy_poll == 0 ? std::nullopt : busy_poll, slots);
  if (const int error = made ? make_rings(made->get(), slots) : 0; error != 0) {
    return Result<Answer>(fail_errno(ErrorCode::not_supported,
                                     fmt::format("xdp:{}: the helper cannot make a socket's rings", interface_->name()),
                                     error, "use a kernel of 5.10 or newer"));
  }
  return with_descriptor<Answer>(std::move(made));
}

Result<void> HelperSession::check(const std::vector<PlacedRule>& rules) {
  for (const PlacedRule& placed : rules) {
    if (auto fits = check_rule_code(placed.rule, interface_->queues(), interface_->name()); !fits) return fits;
  }
  if (policy_.force || kernel_->route_at_risk(rules).empty()) return {};
  return fail(ErrorCode::permission_denied,
              fmt::format("xdp:{}: the helper does not let rules take what this host needs of the default route's "
                          "interface",
                          interface_->name()),
              "take less, such as ?rule=udp:53, or as root: pollux xdp-helper --force");
}

std::optional<Result<HelperSession::Answer>> HelperSession::answer_rules(MessageReader& request, bool replaces) {
  const auto rules = request.rules();
  if (!rules || !has_counters_ || (replaces && kernel_->link() < 0)) return std::nullopt;
  if (auto fits = check(*rules); !fits) return Result<Answer>(tl::unexpected<Error>(fits.error()));
  if (!replaces) {
    const auto hints = request.number();
    const auto chains = request.number();
    if (!hints || !chains || (*hints & ~std::uint32_t{kernel_->hints()}) != 0) return std::nullopt;
    return with_descriptor<Answer>(kernel_->load(*rules, static_cast<std::uint16_t>(*hints), *chains != 0));
  }
  return kernel_->replace(*rules).map([] { return Answer{}; });
}

std::optional<Result<HelperSession::Answer>> HelperSession::answer_join(MessageReader& request) {
  const auto mac = request.mac();
  const auto modes = request.number();
  if (!mac || !modes) return std::nullopt;
  return kernel_->join(*mac, (*modes & 1) != 0, (*modes & 2) != 0).map([] { return Answer{}; });
}

// The port gets no netlink socket: with one, a process that has CAP_NET_ADMIN in another network namespace could change
// this one. It cannot send on these, so that nothing of it waits here.
Result<HelperSession::Answer> HelperSession::answer_subscribe() {
  if (events_) return fail(ErrorCode::bad_state, fmt::format("xdp:{}: subscribed already", interface_->name()));
  auto events = DeletionEvents::subscribe(*interface_);
  if (!events) return pass_on(std::move(events));
  Answer answer;
  subscribers_.clear();  // of an attempt that failed
  for (int i = 0; i < 2; ++i) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("xdp:{}: cannot make a socket", interface_->name()), errno);
    }
    ::shutdown(pair[0], SHUT_RD);
    subscribers_.emplace_back(pair[0]);
    answer.made.emplace_back(pair[1]);
  }
  events_ = *std::move(events);
  return answer;
}

void HelperSession::tell() const noexcept {
  if (!events_ || !events_->clear() || interface_->exists()) return;
  for (const FileDescriptor& subscriber : subscribers_) {
    static_cast<void>(::send(subscriber.get(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}

}  // namespace pollux::xdp
