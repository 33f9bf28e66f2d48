// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/context.hpp"

#include <utility>

#include "mem/context_state.hpp"

namespace pollux {

Context::Context(ContextOptions options) : state_(std::make_shared<ContextState>(std::move(options))) {}

Context::~Context() = default;

Clock& Context::clock() const noexcept { return state_->clock(); }

void Context::log(LogLevel level, std::string_view message) const { state_->log(level, message); }

void Context::report(const Misuse& misuse) const { state_->report(misuse); }

Result<DmaMemory> Context::allocate(const DmaRequest& request) { return state_->allocate(request); }

Result<DmaMemory> Context::register_memory(std::span<std::byte> memory) { return state_->register_memory(memory); }

Result<void> Context::attach(std::shared_ptr<DmaDomain> domain) { return state_->attach(std::move(domain)); }

void Context::detach(const DmaDomain& domain) { state_->detach(domain); }

void* Context::service_slot(std::type_index type, ServiceFactory make) { return state_->service_slot(type, make); }

}  // namespace pollux
