// SPDX-License-Identifier: BSD-3-Clause
// When queues are enabled and disabled.
#include <array>

#include "silicon_probe/groups.hpp"
#include "silicon_probe/raw_port.hpp"

namespace pollux::silicon {
namespace {

constexpr Duration kEnableLimit = milliseconds(10);

bool rx_on(const RawPort& port) { return port.regs().read<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE); }
bool tx_on(const RawPort& port) { return port.regs().read<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE); }

Result<void> ask_enable(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  const reg::Registers& regs = port.regs();
  port.program_rx(0, {});
  regs.write<reg::RXDCTL>(0, reg::RXDCTL::ENABLE | reg::RXDCTL::WTHRESH(1));
  answer.yes_no("I-QENABLE", "RXDCTL.ENABLE reads as set while RCTL.RXEN is clear",
                port.time_until(kEnableLimit, [&] { return rx_on(port); }).has_value(), false);
  port.receive_all();
  answer.within("I-QENABLE", "RXDCTL.ENABLE sets after RCTL.RXEN",
                port.time_until(10 * kEnableLimit, [&] { return rx_on(port); }), kEnableLimit);
  regs.write<reg::RDT>(0, reg::RDT::TAIL(5));
  answer.equal("I-RDT", "RDT of an enabled queue after 5 was written", regs.read<reg::RDT>(0).raw(), 5);
  port.program_tx();
  regs.write<reg::TXDCTL>(0, reg::TXDCTL::ENABLE | reg::TXDCTL::WTHRESH(1));
  answer.yes_no("I-QENABLE", "TXDCTL.ENABLE reads as set while TCTL.EN is clear",
                port.time_until(kEnableLimit, [&] { return tx_on(port); }).has_value(), false);
  regs.write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::PSP);
  answer.within("I-QENABLE", "TXDCTL.ENABLE sets after TCTL.EN",
                port.time_until(10 * kEnableLimit, [&] { return tx_on(port); }), kEnableLimit);
  return {};
}

Result<void> ask_disable(ProbePorts& ports, Answer& answer) {
  RawPort& port = ports.port;
  port.receive_all();
  if (auto opened = port.open_rx(0, {}); !opened) return opened;
  if (auto opened = port.open_tx(); !opened) return opened;
  port.regs().clear<reg::RXDCTL>(0, reg::RXDCTL::ENABLE);
  answer.within("I-QRESTART", "RXDCTL.ENABLE reads as clear after it was cleared",
                port.time_until(10 * kEnableLimit, [&] { return !rx_on(port); }), kEnableLimit);
  port.regs().clear<reg::TXDCTL>(0, reg::TXDCTL::ENABLE);
  answer.within("I-QRESTART", "TXDCTL.ENABLE reads as clear after it was cleared",
                port.time_until(10 * kEnableLimit, [&] { return !tx_on(port); }), kEnableLimit);
  answer.note("I-RDH", "RDH after the queue was disabled", port.regs().read<reg::RDH>(0).raw());
  return {};
}

constexpr std::array<std::string_view, 2> kEnableTags{"I-QENABLE", "I-RDT"};
constexpr std::array<std::string_view, 2> kDisableTags{"I-QRESTART", "I-RDH"};
constexpr std::array kQueueProbes{
    Probe{"queue_enable", "When do queues read as enabled?", kEnableTags, false, true, ask_enable},
    Probe{"queue_disable", "How long until a queue reads as disabled?", kDisableTags, false, true, ask_disable},
};

}  // namespace

std::span<const Probe> queue_probes() { return kQueueProbes; }

// Both links are started before either is waited for.
Result<void> join(const ProbePorts& ports) {
  for (RawPort* port : {&ports.port, ports.partner}) {
    if (auto started = port->start_link(); !started) return started;
  }
  for (RawPort* port : {&ports.port, ports.partner}) {
    if (auto up = port->wait_for_link(); !up) return up;
  }
  return ports.partner->open_tx();
}

}  // namespace pollux::silicon
