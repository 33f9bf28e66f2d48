// SPDX-License-Identifier: BSD-3-Clause
// When a port's flow control is set: at its start, by a call, or once the link partner's abilities are known.
#include <utility>

#include "drivers/intel/igb/flow_control.hpp"
#include "drivers/intel/igb/phy.hpp"
#include "drivers/intel/igb/port.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

// The longest frame that the card accepts, so that a later change of the MTU needs no other water marks.
Result<FlowControlConfig> Port::with_marks(const Settings& settings) const {
  return with_water_marks(settings.flow_control, packet_buffers_.receive_bytes(settings.queues.packet_buffers),
                          wire_bytes(info().limits.max_mtu), card_.name);
}

Result<void> Port::apply_flow_control(const Settings* from, const Settings& to) {
  if (from != nullptr) {
    if (auto restarted = link_settings_.advertise_pause(advertised(to.flow_control)); !restarted) return restarted;
  }
  return start_flow_control(to);
}

std::uint16_t Port::advertised(const FlowControlConfig& config) noexcept {
  return config.autonegotiate ? pause_advertisement(config.pause) : std::uint16_t{0};
}

Result<void> Port::start_flow_control(const Settings& settings) {
  const FlowControlConfig& config = settings.flow_control;
  pause_ = config.autonegotiate ? PauseModes{} : config.pause;
  pause_is_settled_ = !config.autonegotiate || !config.pause.any();
  if (!config.pause.any()) return write_flow_control(card_, config, {});
  auto valid = with_marks(settings);
  if (!valid) return pass_on(std::move(valid));
  return write_flow_control(card_, *valid, pause_);
}

// The partner's abilities are known once the link is up, if it was negotiated. Pause frames need full duplex (IEEE
// 802.3, 31B.1). A PHY that does not answer is asked again the next time.
void Port::settle_flow_control(const Link& link) {
  const FlowControlConfig& config = settings().flow_control;
  if (!running() || !config.autonegotiate || !config.pause.any()) return;
  if (link.up == pause_is_settled_) return;
  PauseModes modes;
  if (link.up && link.autonegotiated && link.duplex == Duplex::full) {
    const auto partner = partner_abilities(card_);
    if (!partner) return card_.log(LogLevel::warning, partner.error().what + "; flow control stays off");
    modes = negotiated_pause(config.pause, *partner);
  }
  const auto valid = with_marks(settings());
  if (!valid || !write_flow_control(card_, *valid, modes)) return;
  pause_ = modes;
  pause_is_settled_ = link.up;
}

FlowControlState Port::pause_state() {
  if (!expect_open()) return {.config = settings().flow_control};
  const Link link = this->link();
  const auto valid = with_marks(settings());
  return {.config = valid ? *valid : settings().flow_control,
          .active = running() && link.up ? pause_ : PauseModes{},
          .packet_buffer = packet_buffers_.receive_bytes(config().packet_buffers)};
}

}  // namespace pollux::drivers::igb
