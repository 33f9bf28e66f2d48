// SPDX-License-Identifier: BSD-3-Clause
#include "card_fault.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "backends/sim/device.hpp"

namespace pollux::tool {
namespace {

using namespace std::chrono_literals;

/// What the occurrences of a FaultPoint are called.
constexpr std::array<std::string_view, kFaultPoints> kUnits{
    "register accesses", "register reads", "register writes",           "calls of its device",
    "mappings",          "unmappings",     "interrupt vectors enabled", "accesses to that register"};

struct MemoryAccess {
  std::string_view name;
  std::string_view unit;
  bool writes;
};
/// In the order of ModelAccess.
constexpr std::array<MemoryAccess, kModelAccessKinds> kAccesses{{{"descriptor-read", "descriptor reads", false},
                                                                 {"payload-read", "payload reads", false},
                                                                 {"payload-write", "payload writes", true},
                                                                 {"receive-write-back", "receive write-backs", true},
                                                                 {"transmit-write-back", "transmit write-backs", true},
                                                                 {"head-write-back", "head write-backs", true}}};

struct MemoryKind {
  std::string_view prefix;
  MemoryFaultKind kind;
  bool writes_only;
};
constexpr std::array<MemoryKind, 4> kKinds{{{"refused-", MemoryFaultKind::refused, false},
                                            {"missing-", MemoryFaultKind::missing, true},
                                            {"late-", MemoryFaultKind::late, true},
                                            {"repeated-", MemoryFaultKind::duplicate, true}}};
/// Longer than a driver waits for what is only slow, and shorter than it waits for a card that hangs.
constexpr Duration kDelay = 50ms;

/// A fault of memory accesses; nullopt if `kind` names none.
std::optional<MemoryFault> memory_fault(std::string_view kind) {
  for (const MemoryKind& known : kKinds) {
    if (!kind.starts_with(known.prefix)) continue;
    const auto access = std::find_if(kAccesses.begin(), kAccesses.end(), [&](const MemoryAccess& one) {
      return one.name == kind.substr(known.prefix.size()) && (one.writes || !known.writes_only);
    });
    if (access == kAccesses.end()) return std::nullopt;
    const auto what = static_cast<ModelAccess>(access - kAccesses.begin());
    return MemoryFault{.kind = known.kind, .what = what, .delay = kDelay};
  }
  return std::nullopt;
}

std::string memory_kinds() {
  std::vector<std::string_view> names;
  for (const MemoryAccess& access : kAccesses) names.push_back(access.name);
  std::vector<std::string> kinds;
  for (const MemoryKind& kind : kKinds) kinds.push_back(fmt::format("{}ACCESS", kind.prefix));
  return fmt::format("{}, ACCESS being {}; reads can only be refused", fmt::join(kinds, ", "), fmt::join(names, ", "));
}

}  // namespace

Result<std::unique_ptr<CardFault>> CardFault::inject(Context& context, std::string_view text,
                                                     std::unique_ptr<Device>& device) {
  const std::size_t kind_ends = std::min(text.find('@'), text.size());
  auto memory = memory_fault(text.substr(0, kind_ends));
  // The numbers behind the kind are the same for both.
  auto plan = parse_fault(memory ? fmt::format("ones{}", text.substr(kind_ends)) : std::string(text));
  if (!plan) {
    return fail(ErrorCode::invalid_argument, fmt::format("--fault: '{}' is not a valid fault", text),
                fmt::format("{}; or of its memory accesses: {}", plan.error().hint, memory_kinds()));
  }
  if (memory) {
    memory->at = plan->at;
    memory->count = plan->count;
    std::unique_ptr<CardFault> fault(
        new CardFault(plan->at, plan->count, kAccesses[static_cast<std::size_t>(memory->what)].unit));
    fault->what_ = memory->what;
    fault->memory_ = std::make_unique<FaultyMemory>(*std::move(memory));
    static_cast<sim::SimDevice&>(*device).dma_domain().intercept(fault->memory_.get());
    return fault;
  }
  std::unique_ptr<CardFault> fault(
      new CardFault(plan->at, plan->count, kUnits[static_cast<std::size_t>(point_of(plan->kind))]));
  fault->injector_ = std::make_shared<FaultInjector>(*std::move(plan));
  auto faulty = with_faults(context, std::move(device), fault->injector_);
  if (!faulty) return pass_on(std::move(faulty));
  device = *std::move(faulty);
  return fault;
}

std::uint64_t CardFault::seen() const noexcept {
  return injector_ ? injector_->occurrences(point_of(injector_->plan().kind)) : memory_->occurrences(what_);
}

bool CardFault::has_begun() noexcept { return !told_ && (told_ = seen() > at_); }

std::string CardFault::outcome() const {
  const std::uint64_t all = seen();
  const std::uint64_t times = std::min(all - std::min(all, at_), count_);
  return fmt::format("{} {} in {} {}", times, times == 1 ? "time" : "times", all, unit_);
}

}  // namespace pollux::tool
