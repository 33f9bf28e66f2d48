// SPDX-License-Identifier: BSD-3-Clause
#include "c/handles.hpp"

#include <fmt/format.h>

using namespace pollux;
using namespace pollux::c;

namespace {

constexpr std::uint32_t kFlags =
    POLLUX_CONTROL_THREAD | POLLUX_VIRTUAL_TIME | POLLUX_HUGE_PAGES_REQUIRE | POLLUX_HUGE_PAGES_NEVER;

Result<ContextOptions> options_of(const pollux_context_options& given) {
  if ((given.flags & ~kFlags) != 0)
    return fail(ErrorCode::invalid_argument, fmt::format("unknown flags {:#x} of a context", given.flags & ~kFlags),
                "use those of pollux.h");
  constexpr std::uint32_t kBoth = POLLUX_HUGE_PAGES_REQUIRE | POLLUX_HUGE_PAGES_NEVER;
  if ((given.flags & kBoth) == kBoth)
    return fail(ErrorCode::invalid_argument, "a context cannot both require huge pages and have none",
                "set one of the two flags, or neither");
  ContextOptions options;
  if (given.log != nullptr) {
    options.log = [log = given.log, user = given.user](LogLevel level, std::string_view message) {
      log(user, static_cast<pollux_log_level>(level), std::string(message).c_str());
    };
  }
  if ((given.flags & POLLUX_VIRTUAL_TIME) != 0) options.clock = std::make_shared<ManualClock>();
  if ((given.flags & POLLUX_HUGE_PAGES_REQUIRE) != 0) options.huge_pages = HugePages::require;
  if ((given.flags & POLLUX_HUGE_PAGES_NEVER) != 0) options.huge_pages = HugePages::never;
  if (given.arena_bytes != 0) options.arena_size = given.arena_bytes;
  options.control_thread = (given.flags & POLLUX_CONTROL_THREAD) != 0;
  return options;
}

static_assert(POLLUX_LOG_DEBUG == static_cast<int>(LogLevel::debug) &&
              POLLUX_LOG_INFO == static_cast<int>(LogLevel::info) &&
              POLLUX_LOG_WARNING == static_cast<int>(LogLevel::warning) &&
              POLLUX_LOG_ERROR == static_cast<int>(LogLevel::error));

}  // namespace

pollux_context* pollux_context_open(const pollux_context_options* given, pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_context>> {
    const auto read = read_options(given, "pollux_context_options");
    if (!read) return tl::unexpected<Error>(read.error());
    auto options = options_of(*read);
    if (!options) return pass_on(std::move(options));
    return std::unique_ptr<pollux_context>(new pollux_context{std::make_shared<Core>(*std::move(options))});
  });
}

void pollux_context_close(pollux_context* context) { delete context; }

uint64_t pollux_context_now(const pollux_context* context) {
  return static_cast<std::uint64_t>(context->core->context.clock().now().count());
}

void pollux_context_sleep(pollux_context* context, uint64_t nanoseconds) {
  or_else(*context->core, 0, [&] {
    context->core->context.clock().sleep_for(duration(nanoseconds));
    return 0;
  });
}

pollux_code pollux_context_run_due(pollux_context* context, uint64_t* next, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(context, "context"); !there) return there;
    auto due = context->core->context.control().run_due();
    if (!due) return pass_on(std::move(due));
    if (next != nullptr) *next = *due == Time::max() ? UINT64_MAX : static_cast<std::uint64_t>(due->count());
    return {};
  });
}

int pollux_context_event_fd(pollux_context* context) {
  return or_else(*context->core, -1, [&] { return context->core->context.control().event_fd(); });
}

pollux_drop_counter* pollux_drop_counter_open(pollux_context* context, const char* name, pollux_error* error) {
  pollux_drop_counter* opened = nullptr;
  static_cast<void>(run(error, [&]() -> Result<void> {
    if (auto there = need(context, "context"); !there) return there;
    if (auto there = need(name, "name"); !there) return there;
    Core& core = *context->core;
    const std::lock_guard lock(core.mutex);
    const auto found = std::ranges::find(core.counters, name, [](const auto& one) { return one.counter.name(); });
    opened = found != core.counters.end() ? &*found : &core.counters.emplace_back(name);
    return {};
  }));
  return opened;
}

uint64_t pollux_drop_count(const pollux_drop_counter* counter) { return counter->counter.value(); }
