// SPDX-License-Identifier: BSD-3-Clause
// The captures of telemetry's clients.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "observe/telemetry_core.hpp"

namespace pollux {

using observe::Connection;

void TelemetryCore::add_places_of_captures(std::vector<observe::Place>& places) const {
  const Time now = context_.clock().now();
  for (const ClientCapture& capture : captures_) {
    if (!capture.has_place) continue;
    const Duration blocked = capture.thread->blocked_for();
    places.push_back({capture.client, capture.user, now - blocked, blocked >= observe::kIdleTime});
  }
}

// Those whose filter is being translated have a place, too.
bool TelemetryCore::make_capture_place(uid_t user) {
  if (captures_.size() + waiting_.size() >= 2 * kMaxCaptures) return false;
  std::vector<observe::Place> taken;
  for (const Connection& client : clients_) {
    if (client.waits() && !client.is_over()) taken.push_back(client.place(context_.clock().now()));
  }
  add_places_of_captures(taken);
  return make_place(taken, kMaxCaptures, user);
}

// A filter takes some time to translate. The client's other requests wait meanwhile.
void TelemetryCore::prepare_capture(Connection& client, Waiting waiting) {
  if (!make_capture_place(client.user())) {
    const auto busy =
        fail(ErrorCode::busy, fmt::format("the program has {} captures", kMaxCaptures), "end one of them");
    ++counts_.errors;
    return client.reply(observe::answer(waiting.id, busy));
  }
  if (waiting.request.options.filter.empty()) return begin_capture(client, std::move(waiting), observe::FrameFilter());
  const auto entry = waiting_.emplace(client.id(), std::move(waiting)).first;
  try {
    const observe::CaptureRequest& request = entry->second.request;
    compiler_->add(client.id(), client.user(), request.options.filter, request.port);
  } catch (const std::bad_alloc&) {
    waiting_.erase(entry);
    throw;
  }
  client.set_waits(true);
}

void TelemetryCore::begin_compiled_captures() {
  while (auto compiled = compiler_->take()) {
    const auto client = std::ranges::find(clients_, compiled->client, &Connection::id);
    auto waiting = waiting_.extract(compiled->client);
    if (client == clients_.end() || client->is_over() || waiting.empty()) continue;
    client->set_waits(false);
    try {
      begin_capture(*client, std::move(waiting.mapped()), std::move(compiled->filter));
    } catch (const std::bad_alloc&) {
      client->disconnect();
    }
  }
}

void TelemetryCore::begin_capture(Connection& client, Waiting waiting, Result<observe::FrameFilter> filter) {
  observe::Server server{context_, options_, ports_, meters_, counts_, client.id(), {}};
  Result<std::unique_ptr<Capture>> capture =
      filter ? observe::begin_capture(server, waiting.request, *std::move(filter)) : pass_on(std::move(filter));
  if (!capture) {
    ++counts_.errors;
    return client.reply(observe::answer(waiting.id, pass_on(std::move(capture))));
  }
  client.reply(
      observe::answer(waiting.id, observe::Json{{"name", waiting.request.port}, {"uri", waiting.request.uri}}));
  hand_over(client, *std::move(capture));
}

// The capture's thread writes the answer, too, so that nothing is between them.
void TelemetryCore::hand_over(Connection& client, std::unique_ptr<Capture> capture) {
  static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client.descriptor(), nullptr));
  std::string unsent;
  PeerSocket socket = client.release(unsent);
  auto thread = CaptureThread::start(std::move(capture), socket.release().release(), unsent);
  if (thread) {
    captures_.push_back({client.id(), client.user(), *std::move(thread)});
    return;
  }
  context_.log(LogLevel::error, thread.error().message());
}

void TelemetryCore::forget_ended_captures() {
  std::erase_if(captures_, [this](const ClientCapture& capture) {
    if (capture.thread->is_running()) return false;
    if (const auto result = capture.thread->result(); !result)
      context_.log(LogLevel::warning, result.error().message());
    return true;
  });
}

}  // namespace pollux
