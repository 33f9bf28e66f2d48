// SPDX-License-Identifier: BSD-3-Clause
// What the port does for its virtual functions.
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/rx_setup.hpp"

namespace pollux::drivers::igb {

FunctionControl::Hooks Port::function_hooks() {
  return {.check = [this](unsigned count) { return check_functions(count); },
          .changed = [this](unsigned count) { functions_changed(count); },
          .expect_open = [this] { return expect_open(); },
          .groups_changed = [this] { write_receive_control(card_, receive_control(settings())); }};
}

Result<void> Port::check_functions(unsigned count) const {
  if (auto is_open = expect_open(); !is_open) return is_open;
  const auto refused = [this](const char* why, const char* hint) {
    return fail(ErrorCode::bad_state, fmt::format("{}: virtual functions cannot be changed {}", card_.name, why), hint);
  };
  if (running()) return refused("while the port is started", "stop the port, change them, start it again");
  if (count != 0) {
    const auto may = may_add(Feature::functions);
    return may ? functions_.check_port_vlans(settings().vlans) : may;
  }
  if (settings().unicast.size() <= info().limits.max_unicast) return {};
  return refused("to none while the port has so many further unicast addresses", "set fewer first");
}

intel::QueueRegisters Port::ring_registers() const {
  return {.bar = card_.regs.bar(),
          .rdh = reg::RDH::offset(card_.first_queue),
          .rdt = reg::RDT::offset(card_.first_queue),
          .tdt = reg::TDT::offset(card_.first_queue),
          .stride = reg::RDT::offset(1) - reg::RDT::offset(0)};
}

// Linux, igb_main.c, igb_cache_ring_register: the first queues belong to the functions.
void Port::functions_changed(unsigned count) {
  card_.first_queue = count;
  move_queues(ring_registers());
  statistics_.use_queues(count, count == 0 ? hw::igb::kRxQueues : 1);
}

}  // namespace pollux::drivers::igb
