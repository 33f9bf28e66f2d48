// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/socket_file.hpp"
#include "net/handover/kept_port.hpp"
#include "net/handover/port_handover.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/port_facts.hpp"
#include "ports/common/port.hpp"
#include "ports/xdp/bpf/rule_counters.hpp"
#include "ports/xdp/interface.hpp"
#include "ports/xdp/kept_memory.hpp"
#include "ports/xdp/kernel_side.hpp"
#include "ports/xdp/queues.hpp"
#include "ports/xdp/socket.hpp"
#include "ports/xdp/umem.hpp"

namespace pollux::xdp {

enum class Mode : std::uint8_t { best, zero_copy, copy, generic };

/// The buffers of a frame: Linux, include/linux/skbuff.h, MAX_SKB_FRAGS, which is 17 unless a kernel is built with
/// another value.
inline constexpr std::uint32_t kMaxPieces = 17;
/// Slots of a socket's rings for a ring of that size: enough that a queue can be restarted with a larger one without
/// the other direction.
[[nodiscard]] constexpr std::uint32_t slots_for(std::uint32_t ring) noexcept { return ring < 512 ? 512 : ring; }

/// What a port is made of, besides its queues.
struct Parts {
  std::unique_ptr<Interface> interface;
  std::unique_ptr<KernelSide> kernel;
  DeletionEvents control_events;  // for `service`
  DeletionEvents queue_events;    // for threads that sleep on queues
  SharedMemory& memory;
  Mode mode;
  std::vector<FlowRule> rules;  // of the URI
  bool is_quiet;                // the URI says what the port takes
  bool force;
  std::uint16_t hints;                     // Hint flags: those that frames get
  std::optional<std::uint32_t> busy_poll;  // microseconds
  std::optional<handover::KeptPort> keeper;
};

/// A port on an interface of the kernel.
class XdpPort final : public ports::SoftwarePort, private PortFacts, private handover::PortHandover {
 public:
  XdpPort(const ports::PortIdentity& identity, Parts parts, const std::string& what);
  ~XdpPort() override;

  void add_initial(Settings& settings) const override;
  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] Result<void> fill() override;
  [[nodiscard]] Result<void> change_mtu(std::uint32_t bytes) override;
  [[nodiscard]] Result<void> change_filter(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] std::vector<int> events() const override { return {control_events_.descriptor()}; }
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override;
  std::uint32_t drain(DrainReason reason) noexcept override;

 private:
  [[nodiscard]] Result<void> begin() override;
  void end() noexcept override;
  void close() override { memory_.close(interface_.id()); }
  [[nodiscard]] Link running_link() override { return interface_.link(); }
  void set_up(QueueId queue) noexcept override;
  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& next, bool running) override;
  void discard() noexcept override;
  void exchange(QueueId queue) noexcept override;

  [[nodiscard]] std::vector<PortFact> facts() override;

  // To another program, and from one: handover.cpp.
  [[nodiscard]] Result<Offer> describe() override;
  [[nodiscard]] Result<std::vector<handover::QueueRecord>> freeze() override;
  bool thaw() noexcept override;
  void leave() noexcept override;
  /// At most so many mbufs for a successor to send from. Error no_memory.
  [[nodiscard]] Result<std::vector<Mbuf*>> lend(std::uint32_t most) const;
  [[nodiscard]] std::shared_ptr<handover::TakenPort> find_taken();
  [[nodiscard]] bool is_of_interface(const handover::PortRecord& record) const;
  [[nodiscard]] Result<void> check_same(const handover::TakenPort& from) const;
  [[nodiscard]] Result<void> take_over(handover::TakenPort& from, bool crashed);
  [[nodiscard]] Result<void> take_program(handover::TakenPort& from);
  [[nodiscard]] Result<void> take_sockets(handover::TakenPort& from, bool crashed);
  /// Forgets what another program has: the kernel's side stays as it is.
  void forget() noexcept;

  // With a keeper: kept.cpp.
  void choose_kept_sizes();
  struct KeptBuffers {
    KeptMemory::Buffers rx, tx;
  };
  [[nodiscard]] KeptBuffers kept_buffers(std::size_t queue) const;
  [[nodiscard]] Result<std::shared_ptr<Umem>> make_kept_area();
  void attach_kept(const Socket& socket, std::uint16_t queue);
  [[nodiscard]] bool send_kept(const Socket& socket, std::uint16_t queue);
  /// Continues what the keeper has of a program that crashed. False: a start is needed.
  [[nodiscard]] Result<bool> continue_after_crash();
  [[nodiscard]] Result<void> continue_with(std::vector<handover::NamedDescriptor> held);
  /// What a successor reads, with the flow rules of these settings.
  void record_kept(const PlacedSettings& settings);
  /// Gives the keeper what it does not have, or another keeper now.
  void keep();
  void end_keeping() noexcept;

  [[nodiscard]] Result<std::shared_ptr<Umem>> choose_area();
  [[nodiscard]] Result<void> load_program(const Umem& area);
  [[nodiscard]] Result<void> attach_program();
  /// Whether frames of the MTU need several buffers.
  [[nodiscard]] bool needs_chains(const Umem& area) const {
    return chains_ && filter().longest() > area.layout().room();
  }
  void report() const;
  [[nodiscard]] Result<void> open_sockets(const std::shared_ptr<Umem>& area);
  [[nodiscard]] Result<Socket> open_socket(const std::shared_ptr<Umem>& area, std::uint16_t queue);
  [[nodiscard]] tl::unexpected<Error> not_bound(int error, std::uint16_t queue) const;
  [[nodiscard]] KernelCounts counts() const;
  void close_sockets() noexcept;
  /// For a start that needs no mbufs.
  void return_filled() noexcept;

  std::unique_ptr<Interface> held_interface_;
  Interface& interface_;
  std::unique_ptr<KernelSide> kernel_;
  DeletionEvents control_events_;
  SharedMemory& memory_;
  Mode mode_;
  bool chains_;
  const std::vector<FlowRule> first_rules_;
  bool is_quiet_;
  bool force_;
  std::uint16_t hints_;
  std::optional<std::uint32_t> busy_poll_;
  std::optional<handover::KeptPort> keeper_;
  std::array<CapabilityEntry, 2> capabilities_{offer<PortFacts>(*this), offer<handover::PortHandover>(*this)};
  DeletionNotifier deletion_;
  std::deque<XdpRxQueue> rx_;
  std::deque<XdpTxQueue> tx_;
  std::vector<std::vector<Mbuf*>> filled_;     // by receive queue: mbufs for a start
  std::vector<Mbuf*> more_;                    // prepared for the restart of a receive queue
  std::optional<RuleCounters> rule_counters_;  // from the first start on
  FileDescriptor socket_map_;                  // of the program, while the port is started
  std::vector<Socket> sockets_;                // by queue
  KernelCounts past_;                          // of sockets that were closed
  std::string why_not_native_;
  std::string why_not_zero_copy_;
  std::string mode_text_;                       // of the last start
  std::shared_ptr<handover::TakenPort> taken_;  // since a start that has continued another program's queues
  std::shared_ptr<const TakenMemory> taken_memory_;
  std::unique_ptr<KeptMemory> kept_memory_;                // while it is started
  std::vector<std::uint64_t> kept_sizes_;                  // of each queue, buffers to receive and to send
  KeptMemory::Losses losses_;                              // when the port was last stopped
  std::vector<std::vector<std::uint64_t>> frozen_queues_;  // as frozen_counts_, by queue
  std::vector<std::vector<Mbuf*>> lent_;                   // by transmit queue: for a successor
  std::vector<Mbuf*> kept_;     // a successor uses their memory: nobody else may before the port is destroyed
  KernelCounts frozen_counts_;  // what they had counted when the port was frozen
  bool has_left_ = false;       // a successor has the queues
};

}  // namespace pollux::xdp
