// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/context.hpp"

#include <utility>

#include "mem/context_state.hpp"
#include "mem/control_thread.hpp"

namespace pollux {
namespace {

std::unique_ptr<ControlThread> start_thread(ContextState& state) {
  if (dynamic_cast<const ManualClock*>(&state.clock()) != nullptr) {
    state.log(LogLevel::warning, "a control thread cannot run with a ManualClock: call context.control().run_due()");
    return nullptr;
  }
  auto thread = ControlThread::start(state.scheduler(),
                                     [&state](const Error& failure) { state.log(LogLevel::error, failure.message()); });
  if (thread) return *std::move(thread);
  state.log(LogLevel::error, thread.error().message());
  return nullptr;
}

}  // namespace

Context::Context(ContextOptions options) {
  const bool threaded = options.control_thread;
  state_ = std::make_shared<ContextState>(std::move(options));
  if (threaded) control_thread_ = start_thread(*state_);
}

Context::~Context() { state_->retire(); }

Clock& Context::clock() const noexcept { return state_->clock(); }

Control& Context::control() const noexcept { return state_->control(); }

void Context::log(LogLevel level, std::string_view message) const { state_->log(level, message); }

void Context::report(const Misuse& misuse) const { state_->report(misuse); }

Result<DmaMemory> Context::allocate(const DmaRequest& request) { return state_->allocate(request); }

Result<DmaMemory> Context::register_memory(std::span<std::byte> memory) { return state_->register_memory(memory); }

Result<void> Context::attach(std::shared_ptr<DmaDomain> domain) { return state_->attach(std::move(domain)); }

void Context::detach(const DmaDomain& domain) { state_->detach(domain); }

void* Context::service_slot(std::type_index type, ServiceFactory make) { return state_->service_slot(type, make); }

}  // namespace pollux
