// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/observe/telemetry.hpp"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "observe/telemetry_core.hpp"

namespace pollux {
namespace {

constexpr unsigned kMostClients = 1024;

}  // namespace

Result<Telemetry> Telemetry::create(Context& context, TelemetryOptions options) {
  if (options.max_clients == 0 || options.max_clients > kMostClients) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} clients of telemetry are not 1 to {}", options.max_clients, kMostClients),
                "set TelemetryOptions::max_clients");
  }
  if (options.directory.empty()) options.directory = observe::default_directory();
  if (options.program.empty()) options.program = program_invocation_short_name;
  auto core = TelemetryCore::create(context, std::move(options));
  if (!core) return pass_on(std::move(core));
  return Telemetry(*std::move(core));
}

Telemetry::Telemetry(std::shared_ptr<TelemetryCore> core) : core_(std::move(core)) {}
Telemetry::Telemetry(Telemetry&&) noexcept = default;

Telemetry& Telemetry::operator=(Telemetry&& other) noexcept {
  const Telemetry before(std::move(*this));
  core_ = std::move(other.core_);
  return *this;
}

Telemetry::~Telemetry() {
  if (core_ != nullptr) core_->close();
}

const std::string& Telemetry::socket() const noexcept { return core_->socket(); }

}  // namespace pollux
