// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pollux::vfio_user {
namespace {

/// The interval at which the level of an interrupt pin is read if nothing else happens. A card with a thread of its own
/// may change the level at any time, without an event.
constexpr Duration kPinInterval = std::chrono::milliseconds(1);

}  // namespace

Result<std::unique_ptr<Server>> Server::create(Context& context, std::unique_ptr<Device> device,
                                               const std::string& path, bool passes_functions) {
  auto regions = Regions::create(*device, passes_functions);
  if (!regions) return pass_on(std::move(regions));
  auto interrupts = Interrupts::create(*device);
  if (!interrupts) return pass_on(std::move(interrupts));
  auto listener = Listener::create(path);
  if (!listener) return pass_on(std::move(listener));
  return std::unique_ptr<Server>(
      new Server(context, std::move(device), *regions, *std::move(interrupts), *std::move(listener)));
}

Server::Server(Context& context, std::unique_ptr<Device> device, Regions regions, Interrupts interrupts,
               Listener listener)
    : context_(context),
      device_(std::move(device)),
      regions_(regions),
      interrupts_(std::move(interrupts)),
      listener_(std::move(listener)) {
  for (std::uint32_t i = 0; i < config_.size(); ++i) config_[i] = device_->read_config(i * 4, 4).value_or(0);
}

Server::~Server() {
  if (session_) end_session();
}

void Server::work() {
  if (!session_) {
    if (FileDescriptor client = listener_.accept(); client && !listener_.may_connect(client.get())) {
      context_.log(LogLevel::warning, fmt::format("{}: a client of another user was turned away", path()));
    } else if (client) {
      session_.emplace(std::move(client), *device_, regions_, interrupts_, context_.clock());
      context_.log(LogLevel::info, fmt::format("{}: a client has connected to {}", path(), device_->name()));
    }
  }
  const bool alive = !session_ || session_->work();
  regions_.flush();
  interrupts_.relay();
  if (!alive) end_session();
}

// Bus mastering ends first: the client's memory is unmapped with the session.
void Server::end_session() {
  context_.log(LogLevel::info, fmt::format("{}: the client's session has ended: {}", path(),
                                           session_->why().empty() ? "the server stops" : session_->why()));
  const auto stopped = device_->set_bus_master(false);
  if (!stopped) context_.log(LogLevel::warning, stopped.error().message());
  session_.reset();
  ++sessions_ended_;
  const auto restored = restore_card();
  if (!restored) context_.log(LogLevel::warning, restored.error().message());
}

// Resets the card and restores its configuration space, as vfio-pci does. So the next client finds the card as the
// first one did.
Result<void> Server::restore_card() {
  if (auto reset = device_->reset(); !reset) return reset;
  for (std::uint32_t i = 0; i < config_.size(); ++i) {
    auto value = device_->read_config(i * 4, 4);
    if (!value) return pass_on(std::move(value));
    if (*value == config_[i]) continue;
    if (auto written = device_->write_config(i * 4, 4, config_[i]); !written) return written;
  }
  return {};
}

std::array<pollfd, 3> Server::descriptors() const noexcept {
  const pollfd client =
      session_ ? pollfd{session_->socket(), session_->events(), 0} : pollfd{listener_.socket(), POLLIN, 0};
  return {client, pollfd{interrupts_.event_fd(), POLLIN, 0}, pollfd{device_->next_wakeup().descriptor, POLLIN, 0}};
}

Time Server::next() const {
  Time device = device_->next_wakeup().at;
  if (interrupts_.watches_pin()) device = std::min(device, context_.clock().now() + kPinInterval);
  return session_ ? std::min(device, session_->deadline()) : device;
}

}  // namespace pollux::vfio_user
