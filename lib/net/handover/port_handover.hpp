// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/device_handover.hpp"
#include "mem/context_state.hpp"
#include "net/handover/record.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/capability.hpp"

namespace pollux::handover {

/// Capability: a driver whose port another program can take over. Only PortMachine calls it, on a started port.
class PortHandover {
 public:
  static constexpr CapabilityId kId{"handover"};

  virtual ~PortHandover() = default;
  struct Offer {
    Json details;
    std::vector<std::pair<std::string, int>> descriptors;  ///< the driver's own
  };
  /// What the successor gets, while the port goes on. Error: why this port cannot be taken over.
  [[nodiscard]] virtual Result<Offer> describe() = 0;
  /// Called again and again before `freeze`, with the queues open: ends receiving where what was received does not pass
  /// to the successor. Returns whether the program has taken all of it.
  [[nodiscard]] virtual Result<bool> stop_receiving() { return true; }
  /// Called with the queues closed. They stand still from now on. An error is followed by `thaw`.
  [[nodiscard]] virtual Result<std::vector<QueueRecord>> freeze() = 0;
  /// The successor does not take them: undoes `stop_receiving` and `freeze`. Returns whether each queue has to be
  /// restarted.
  virtual bool thaw() noexcept = 0;
  /// The successor has them. The next `halt`, `drain` and `release` leave alone what it got.
  virtual void leave() noexcept = 0;
};

/// A port's message "port" to its successor.
struct DescribedPort {
  Json json;
  std::vector<int> descriptors;  ///< the driver's own
};

/// A port that a Context takes over.
struct TakenPort {
  PortRecord record;
  std::vector<QueueRecord> queues;  ///< once the other program stands still
  bool started = false;
  /// Called once the other program has given it up; empty: nothing is left to do.
  std::function<Result<void>()> continue_with;
  /// Whether the other program has given it up. Until then nothing of it may be changed.
  std::atomic<bool> committed{false};
};

/// What the Context takes over between Takeover::begin and its end: a service of it.
/// Thread rule: one thread at a time.
class Inheritance {
 public:
  void begin(FileDescriptor connection, FileDescriptor listener, std::string socket,
             std::vector<std::shared_ptr<TakenPort>> ports);
  [[nodiscard]] bool has_begun() const noexcept { return static_cast<bool>(connection_); }
  /// A port of that driver whose record `fits`; nullptr if there is none.
  [[nodiscard]] std::shared_ptr<TakenPort> find(std::string_view driver,
                                                const std::function<bool(const PortRecord&)>& fits) const;
  /// Makes the other program stand still, unless it does already.
  [[nodiscard]] Result<void> freeze();
  /// Returns for how long the queues stood still.
  [[nodiscard]] Result<Duration> finish();
  void give_up() noexcept;
  /// The socket on which the other program listened at that path; empty if it is another path.
  [[nodiscard]] FileDescriptor take_listener(const std::string& socket) noexcept;

 private:
  [[nodiscard]] Result<void> receive_queues();

  FileDescriptor connection_;
  FileDescriptor listener_;
  std::string socket_;
  std::vector<std::shared_ptr<TakenPort>> ports_;
  bool frozen_ = false;
  Duration frozen_at_{};
};

[[nodiscard]] inline Inheritance& inheritance(ContextState& context) {
  return *static_cast<Inheritance*>(
      context.service_slot(typeid(Inheritance), [] { return std::shared_ptr<void>(std::make_shared<Inheritance>()); }));
}

}  // namespace pollux::handover
