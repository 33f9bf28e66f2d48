// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/open_ports.hpp"

#include <utility>

#include "net/port_core.hpp"

namespace pollux {

std::uint64_t PortRegistry::add(std::weak_ptr<PortCore> core) {
  const std::lock_guard lock(mutex_);
  ports_.emplace(++last_id_, std::move(core));
  return last_id_;
}

void PortRegistry::remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  ports_.erase(id);
}

std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> PortRegistry::ports() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> all;
  for (const auto& [id, core] : ports_) {
    if (auto alive = core.lock()) all.emplace_back(id, std::move(alive));
  }
  return all;
}

OpenPort::OpenPort(std::uint64_t id, std::shared_ptr<PortCore> core, std::shared_lock<std::shared_mutex> lock)
    : id_(id), core_(std::move(core)), lock_(std::move(lock)), port_(core_) {}

// Without its core, port_ is as one that was moved from, and its destructor closes nothing.
OpenPort::~OpenPort() { port_.core_.reset(); }

std::vector<OpenPort> open_ports(Context& context) {
  std::vector<OpenPort> open;
  for (auto& [id, core] : context.service<PortRegistry>().ports()) {
    std::shared_lock in_use = core->try_use();
    if (in_use) open.push_back(OpenPort(id, std::move(core), std::move(in_use)));
  }
  return open;
}

}  // namespace pollux
