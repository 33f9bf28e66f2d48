// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/control.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {

class ContextState;
class ControlThread;

enum class HugePages {
  prefer,   ///< huge pages where the machine has free ones, ordinary pages otherwise (said once, with what it costs)
  require,  ///< fail where there are too few huge pages
  never,    ///< ordinary pages only
};

struct ContextOptions {
  std::shared_ptr<Clock> clock = nullptr;  ///< null: the machine's monotonic clock
  LogCallback log = nullptr;               ///< null: messages are dropped
  MisuseHandler on_misuse = nullptr;       ///< null: misuse is logged as an error
  HugePages huge_pages = HugePages::prefer;
  /// Bytes of a huge page (such as 2 MiB or 1 GiB); 0 takes the smallest size that has enough free pages.
  std::size_t huge_page_size = 0;
  /// Bytes of address space for DMA memory (reserved, not used); halved until the system grants it.
  std::size_t arena_size = std::size_t{64} << 30;
  /// Runs the Control on a thread of its own, which ends with the Context (ports that live longer are not serviced any
  /// more) and takes no signals. A port that fails is then logged as an error, as is a thread that could not be had;
  /// the log and misuse callbacks are called on that thread, too. Not with a ManualClock: whoever moves the time runs
  /// what is due.
  bool control_thread = false;
};

struct DmaRequest {
  std::size_t size = 0;           ///< bytes, at least 1; rounded up to whole pages
  int numa_node = -1;             ///< -1: wherever the kernel likes
  std::string_view purpose = {};  ///< for messages, such as "mempool rx"
};

/// Owns what would otherwise be global: clock, log, misuse handler, IOVA space, DMA domains and what backends keep for
/// a process. Ports, pools and DMA memory keep its state alive, so the order in which they go away does not matter.
/// fork: nothing is shared with a child; every descriptor is close-on-exec, and a child must not use the Context.
/// Thread rule: every member may be called from any thread.
class POLLUX_API Context {
 public:
  explicit Context(ContextOptions options = {});
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  [[nodiscard]] Clock& clock() const noexcept;
  /// What a program calls now and then, so that its ports are looked after.
  [[nodiscard]] Control& control() const noexcept;
  void log(LogLevel level, std::string_view message) const;
  void report(const Misuse& misuse) const;

  /// Zeroed memory, populated before it is returned, mapped into every attached domain.
  /// Errors: no_memory (huge pages or address space), memlock_too_small and others from a domain.
  [[nodiscard]] Result<DmaMemory> allocate(const DmaRequest& request);
  /// Makes the application's own memory reachable for devices until the result goes away. `memory` is page-aligned, a
  /// whole number of pages, and outlives the result.
  [[nodiscard]] Result<DmaMemory> register_memory(std::span<std::byte> memory);

  /// Maps all memory, present and future, into `domain` too. Error: not_supported where the domain cannot reach the
  /// IOVA of memory that exists; nothing stays mapped then.
  [[nodiscard]] Result<void> attach(std::shared_ptr<DmaDomain> domain);
  /// Unmaps everything from `domain` and forgets it. No device of the domain may be doing DMA.
  void detach(const DmaDomain& domain);

  /// The shared state, for what must outlive this handle.
  [[nodiscard]] const std::shared_ptr<ContextState>& state() const noexcept { return state_; }

  /// An object a Context holds once for each type, made when first asked for: a backend's container, a wire between
  /// in-process cards. `Service` is default-constructible and lives as long as the state.
  template <class Service>
  [[nodiscard]] Service& service() {
    return *static_cast<Service*>(
        service_slot(typeid(Service), [] { return std::shared_ptr<void>(std::make_shared<Service>()); }));
  }

 private:
  using ServiceFactory = std::shared_ptr<void> (*)();
  [[nodiscard]] void* service_slot(std::type_index type, ServiceFactory make);

  std::shared_ptr<ContextState> state_;
  std::unique_ptr<ControlThread> control_thread_;
};

}  // namespace pollux
