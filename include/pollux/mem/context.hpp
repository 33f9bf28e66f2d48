// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <typeindex>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {

class ControlScheduler;

/// Runs the periodic work of a Context, such as each open port's `service`. A program calls it in one of three ways. In
/// its own loop:
///
///     Time due{};
///     while (running) {
///       if (context.clock().now() >= due) {
///         auto next = context.control().run_due();
///         if (!next) ...                              // a port failed: the error says which and why
///         due = *next;
///       }
///       ...                                           // receive, send
///     }
///
/// In an event loop, which waits for `event_fd` and then calls `run_due`. Or on a thread of the library:
/// ContextOptions::control_thread.
/// Thread rule: every member may be called from any thread; the calling thread does the work that is due.
class POLLUX_API Control {
 public:
  /// A Context makes its own: `Context::control`.
  explicit Control(ControlScheduler& scheduler) noexcept : scheduler_(&scheduler) {}

  /// A file descriptor that is readable (poll(2), epoll(7)) while work is due or a device has signalled an error, its
  /// removal or a change of its link. `run_due` clears it. It is created on the first call, close-on-exec, and owned by
  /// the Context: do not read or close it. It follows the Context's clock, virtual time, too. Returns -1 if the process
  /// has no file descriptor left.
  [[nodiscard]] int event_fd();

  /// Does the work that is due. Returns the time of the next call on the Context's clock: at most a second from now
  /// while a port is open, Time::max() while none is. When nothing is due, a call reads the clock and, once `event_fd`
  /// was called, makes one system call. Calling earlier is fine; builds with POLLUX_CHECKED report a service that runs
  /// too late as a misuse.
  /// Errors: those of Port::service. The port is then in state `failed`, and the hint says how to recover. Each failure
  /// is returned once; call again at once for the other ports. With a control thread, this returns the failures that
  /// the thread found.
  [[nodiscard]] Result<Time> run_due();

 private:
  ControlScheduler* scheduler_;
};

class ContextState;
class ControlThread;

/// Which pages DMA memory consists of.
enum class HugePages {
  prefer,   ///< huge pages if the machine has free ones, else ordinary pages (warned about once, with what it costs)
  require,  ///< huge pages only: allocation fails if there are too few
  never,    ///< ordinary pages only
};

/// How a Context is made. The defaults suit a program that forwards frames on a machine with huge pages.
struct ContextOptions {
  std::shared_ptr<Clock> clock = nullptr;    ///< null: the machine's monotonic clock
  LogCallback log = nullptr;                 ///< null: messages are dropped
  MisuseHandler on_misuse = nullptr;         ///< null: misuse is logged as an error
  HugePages huge_pages = HugePages::prefer;  ///< what DMA memory consists of
  /// Bytes of a huge page (such as 2 MiB or 1 GiB); 0 selects the smallest size that has enough free pages.
  std::size_t huge_page_size = 0;
  /// Bytes of address space to reserve for DMA memory. Reserving uses no memory. The size is halved until the system
  /// grants it.
  std::size_t arena_size = std::size_t{64} << 30;
  /// Runs the Control on a thread of its own, which takes no signals and ends with the Context; ports that live longer
  /// are not serviced after that. The thread logs each port failure as an error, and calls the log and misuse
  /// callbacks. If it cannot be started, that is logged as an error. Ignored, with a warning, with a ManualClock: there
  /// the program calls `Control::run_due` itself.
  bool control_thread = false;
};

/// What `Context::allocate` shall allocate.
struct DmaRequest {
  std::size_t size = 0;           ///< bytes, at least 1; rounded up to whole pages
  int numa_node = -1;             ///< -1: any node
  std::string_view purpose = {};  ///< used in messages, such as "mempool rx"
  /// Bytes if the memory is in ordinary pages, of which a user with objects of one page each needs more; 0: as `size`.
  std::size_t ordinary_size = 0;
};

/// Owns what would otherwise be global state: clock, log and misuse callbacks, DMA memory, the IOVA space (the
/// addresses that devices use for it), DMA domains, and one object for each backend. Ports, pools and DMA memory share
/// this state and keep it alive, so they may be destroyed in any order. fork(3): nothing is shared with a child
/// process. It has neither the descriptors of the Context and its ports nor their memory, and must not use its copies
/// of them, but may destroy them, as exit(3) does, except those that own mbufs (MbufPtr, Burst, rings and queues with
/// frames in them). Every file descriptor is close-on-exec.
/// Thread rule: every member may be called from any thread.
class POLLUX_API Context {
 public:
  /// Allocates no DMA memory and no address space: what the machine lacks shows in the first `allocate`.
  explicit Context(ContextOptions options = {});
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  /// The clock of the options; it lives as long as the Context's state.
  [[nodiscard]] Clock& clock() const noexcept;
  /// The periodic work of all ports; see Control.
  [[nodiscard]] Control& control() const noexcept;
  /// Passes a message to the log callback, if there is one.
  void log(LogLevel level, std::string_view message) const;
  /// Passes a misuse to the misuse handler. Without one it is logged as an error.
  void report(const Misuse& misuse) const;

  /// Allocates zeroed DMA memory. Its pages are populated before the call returns, and it is mapped into every attached
  /// domain.
  /// Errors: no_memory (huge pages or address space), memlock_too_small, and the errors of a domain.
  [[nodiscard]] Result<DmaMemory> allocate(const DmaRequest& request);
  /// Maps memory of the application into every attached domain until the result is destroyed. `memory` is page-aligned,
  /// is a whole number of pages, and outlives the result.
  /// Errors: invalid_argument (not whole pages, or registered already), not_supported (physical addresses),
  /// memlock_too_small, and the errors of a domain. If one domain fails and another one then cannot unmap the memory,
  /// which the log reports, a device may still access it until the Context ends.
  [[nodiscard]] Result<DmaMemory> register_memory(std::span<std::byte> memory);

  /// Maps all existing and future DMA memory into `domain`, too. Error not_supported, with nothing left mapped, if the
  /// domain cannot use the IOVA of existing memory.
  [[nodiscard]] Result<void> attach(std::shared_ptr<DmaDomain> domain);
  /// Unmaps all memory from `domain` and releases it. No device of the domain may be doing DMA.
  void detach(const DmaDomain& domain);

  /// The state that ports, pools and DMA memory share. It outlives this object as long as one of them exists.
  [[nodiscard]] const std::shared_ptr<ContextState>& state() const noexcept { return state_; }

  /// The Context's object of type `Service`, created on first use: for example a backend's container or the wire
  /// between in-process cards. `Service` is default-constructible and lives as long as the state.
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
