// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/port.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/igb/bring_up.hpp"
#include "drivers/igb/filters.hpp"
#include "drivers/igb/link.hpp"
#include "drivers/igb/nvm.hpp"
#include "drivers/igb/port_limits.hpp"
#include "drivers/igb/quiesce.hpp"
#include "drivers/igb/rx_setup.hpp"
#include "drivers/igb/tx_setup.hpp"
#include "hw/igb/ids.hpp"
#include "hw/igb/limits.hpp"
#include "net/port_state.hpp"

namespace pollux::igb {
namespace {

/// For a poller to leave its burst: it may have been preempted.
constexpr Duration kPollerLimit = milliseconds(1000);

// [I-OVERRUN] QEMU's card counts neither the frames for which no queue has a descriptor, nor those that its network
// drops while the card asks it to wait.
MissedCount missed_count(const PciIdentity& identity) {
  const bool is_qemus =
      identity.subsystem_vendor == reg::kQemuSubsystemVendor && identity.subsystem_device == reg::kQemuSubsystem;
  return is_qemus ? MissedCount::lower_bound : MissedCount::exact;
}

}  // namespace

Port::Port(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, std::uint16_t index)
    : device_(std::move(device)), card_{.regs = {}, .context = std::move(context), .name = device_->name()} {
  info_ = {.name = device_->name(),
           .driver = "igb",
           .card = "Intel 82576",
           .backend = device_->name().substr(0, device_->name().find(':')),
           .index = index,
           .numa_node = device_->numa_node(),
           .limits = port_limits(),
           .missed_count = missed_count(device_->identity())};
}

Port::~Port() {
  if (state_ == PortState::closed) return;
  auto closed = close();
  if (!closed && state_ == PortState::started) {
    // A thread is still inside a burst; what it uses must outlive it.
    poller_stuck_ = true;
    static_cast<void>(enter_failed(closed.error()));
    closed = close();
  }
  if (!closed) card_.log(LogLevel::error, closed.error().message());
}

Result<std::unique_ptr<Port>> Port::open(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device) {
  const std::uint16_t index = context->take_port_index();
  if (index == Mbuf::kNoPort) {
    return fail(ErrorCode::no_memory, fmt::format("{}: the Context has no port number left", device->name()),
                "close ports that are not needed, or use another Context");
  }
  std::unique_ptr<Port> port(new Port(std::move(context), std::move(device), index));
  if (auto up = port->bring_up(); !up) {
    // Nothing of the card is in use yet, so there is nothing to stop.
    static_cast<void>(port->enter_failed(up.error()));
    return pass_on(std::move(up));
  }
  return port;
}

Result<void> Port::bring_up() {
  auto bar = device_->bar(reg::kRegisterBar);
  if (!bar) return pass_on(std::move(bar));
  if (bar->size() < reg::kRegisterBytes) {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: the register window has {} bytes and should have {}", card_.name, bar->size(),
                            reg::kRegisterBytes),
                "the card is not what its identity says");
  }
  if (auto reset = device_->reset(); !reset && reset.error().code != ErrorCode::not_supported) return reset;
  card_.regs = hw::igb::Registers(*bar);
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (auto reset = reset_card(card_); !reset) return reset;
  if (auto mode = check_link_mode(card_); !mode) return mode;
  if (auto nvm = check_nvm(card_); !nvm) return nvm;
  auto mac = permanent_mac(card_);
  if (!mac) return pass_on(std::move(mac));
  mac_ = *mac;
  announce_driver(card_, true);
  statistics_.attach(card_.regs);
  return settle_registers();
}

Result<void> Port::configure(const PortConfig& config) {
  if (auto fits = expect({PortState::opened, PortState::configured}, "configure"); !fits) return fits;
  auto plan = check_config(config, *card_.context, card_.name);
  if (!plan) return pass_on(std::move(plan));
  auto rings = RingMemory::allocate(*card_.context, *plan, info_.numa_node, card_.name);
  if (!rings) return pass_on(std::move(rings));
  queues_->setup(card_, *plan, *rings, info_.index);
  rings_ = *std::move(rings);
  plan_ = *std::move(plan);
  state_ = PortState::configured;
  return {};
}

Result<void> Port::start() {
  if (auto fits = expect({PortState::configured}, "start"); !fits) return fits;
  if (auto filled = queues_->fill(); !filled) return filled;
  buffers_in_rings_ = true;
  if (auto started = start_card(); !started) {
    if (started.error().code == ErrorCode::device_removed) return enter_failed(started.error());
    auto ended = end_dma();
    statistics_.fold();
    if (!ended) return enter_failed(ended.error());
    take_buffers_back(DrainReason::stopped);
    return started;
  }
  queues_->open();
  state_ = PortState::started;
  return {};
}

// Every start begins with a reset: what stops a card's DMA is only undone by one. The order is Linux's: igb_main.c,
// igb_reset, then igb_configure; the link starts first, since it takes longest.
Result<void> Port::start_card() {
  statistics_.fold();
  if (auto reset = reset_card(card_); !reset) return reset;
  announce_driver(card_, true);
  clear_filters(card_);
  write_own_address(card_, mac_);
  if (auto link = start_link(card_); !link) return link;
  statistics_.discard();
  // A lone queue's frames wait in the packet buffer for descriptors (start_receive).
  statistics_.begin_receive(queues_->taken(), plan_.rx_queues <= 1,
                            [this](const hw::igb::Registers& regs) { return queues_->delivered(regs, card_.clock()); });
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  if (auto transmit = start_transmit(card_, plan_, rings_); !transmit) return transmit;
  if (auto receive = start_receive(card_, plan_, rings_); !receive) return receive;
  for (std::uint32_t queue = 0; queue < plan_.rx_queues; ++queue) {
    const std::uint32_t tail = queues_->rx(queue)->first_tail();
    card_.regs.write<reg::RDT>(queue, reg::RDT::TAIL(tail));
    // A queue that is not enabled, whatever it says, does not take its tail.
    if (auto armed = check_written<reg::RDT>(card_, "RDT", queue, tail); !armed) return armed;
  }
  return settle_registers();
}

Result<void> Port::stop() {
  if (auto fits = expect({PortState::started}, "stop"); !fits) return fits;
  if (auto closed = queues_->close(card_.clock(), kPollerLimit); !closed) return closed;
  auto ended = end_dma();
  statistics_.fold();
  if (!ended) return enter_failed(ended.error());
  take_buffers_back(DrainReason::stopped);
  state_ = PortState::configured;
  return {};
}

Result<void> Port::end_dma() {
  if (auto quiet = quiesce(card_, plan_.rx_queues, plan_.tx_queues, [this] { return queues_->transmit_settled(); });
      !quiet) {
    return quiet;
  }
  if (auto off = device_->set_bus_master(false); !off) return off;
  dma_ended_ = true;
  return {};
}

tl::unexpected<Error> Port::enter_failed(Error why) {
  if (state_ == PortState::started && !poller_stuck_) {
    if (const auto closed = queues_->close(card_.clock(), kPollerLimit); !closed) poller_stuck_ = true;
    // The card may well be able to stop, such as when the host only asks for it back.
    if (!poller_stuck_) static_cast<void>(end_dma());
    statistics_.fold();
  }
  state_ = PortState::failed;
  failure_ = why;
  return tl::unexpected<Error>(std::move(why));
}

void Port::take_buffers_back(DrainReason reason) {
  const std::uint32_t buffers = queues_->drain(reason);
  if (reason == DrainReason::removed) removed_buffers_ += buffers;
  buffers_in_rings_ = false;
  statistics_.end_receive(queues_->taken());
}

bool Port::failed_card_is_harmless() {
  if (dma_ended_ || !card_.regs.bar() || card_.regs.removed()) return true;
  return device_->reset().has_value();
}

Result<void> Port::close() {
  if (state_ == PortState::closed) return expect({}, "close");
  if (state_ == PortState::started) {
    // A poller that is still inside keeps everything in place. A card that failed to stop is dealt with below.
    if (auto stopped = stop(); !stopped && state_ == PortState::started) return stopped;
  }
  return hand_back();
}

// The kernel's driver resets the card again; it only must not be told that another driver has it.
Result<void> Port::hand_back() {
  Result<void> result;
  const bool harmless = state_ != PortState::failed || failed_card_is_harmless();
  if (state_ != PortState::failed) {
    statistics_.fold();
    result = reset_card(card_);
    if (result) announce_driver(card_, false);
    card_.regs.bar().flush();
  }
  statistics_.detach();
  card_.regs = {};
  device_.reset();
  if (harmless && !poller_stuck_) {
    if (buffers_in_rings_) take_buffers_back(DrainReason::removed);
  } else {
    // The card might still write there: this memory is given up for good.
    static_cast<void>(new std::pair(queues_, std::move(rings_)));
    result = fail(harmless ? ErrorCode::busy : failure_.code,
                  fmt::format("{}: {}; its rings and buffers are lost to this process", card_.name,
                              harmless ? "a thread is still polling" : "the card did not stop"),
                  "stop polling before the port goes away, or reset the slot");
  }
  queues_->retire();
  rings_ = {};
  card_.context->return_port_index(info_.index);
  state_ = PortState::closed;
  return result;
}

Result<void> Port::expect(std::initializer_list<PortState> states, std::string_view call) const {
  return expect_state(state_, states, card_.name, call, failure_);
}

Result<void> Port::settle_registers() {
  card_.regs.flush();
  if (card_.regs.removed()) return fail_removed(card_.name);
  return {};
}

}  // namespace pollux::igb
