// SPDX-License-Identifier: BSD-3-Clause
// When a port's flow control is set: at its start, by a call, or once the link partner's abilities are known.
#include <utility>

#include "drivers/intel/igb/flow_control.hpp"
#include "drivers/intel/igb/phy.hpp"
#include "drivers/intel/igb/port.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

// The longest frame that the card accepts, so that a later change of the MTU needs no other water marks.
Result<FlowControlConfig> Port::checked(const FlowControlConfig& config) const {
  return checked(config, this->config().packet_buffers);
}

Result<FlowControlConfig> Port::checked(const FlowControlConfig& config, const PacketBuffers& buffers) const {
  return with_water_marks(config, packet_buffers_.receive_bytes(buffers), wire_bytes(info().limits.max_mtu),
                          card_.name);
}

Result<void> Port::set_flow_control(const FlowControlConfig& config) {
  if (auto present = expect_present(card_); !present) return present;
  if (auto valid = checked(config); !valid) return pass_on(std::move(valid));
  const FlowControlConfig before = std::exchange(flow_config_, config);
  if (!running_) return {};
  if (advertised(before) != advertised(config)) {
    if (auto restarted = link_settings_.advertise_pause(advertised(config)); !restarted) return restarted;
  }
  return start_flow_control(before.pause.any());
}

std::uint16_t Port::advertised(const FlowControlConfig& config) noexcept {
  return config.autonegotiate ? pause_advertisement(config.pause) : std::uint16_t{0};
}

// After a reset nothing has to be written for a port without flow control.
Result<void> Port::start_flow_control(bool was_on) {
  pause_ = flow_config_.autonegotiate ? PauseModes{} : flow_config_.pause;
  pause_is_settled_ = !flow_config_.autonegotiate || !flow_config_.pause.any();
  if (!was_on && !flow_config_.pause.any()) return {};
  auto valid = checked(flow_config_);
  if (!valid) return pass_on(std::move(valid));
  return write_flow_control(card_, *valid, pause_);
}

// The partner's abilities are known once the link is up, if it was negotiated. Pause frames need full duplex (IEEE
// 802.3, 31B.1). A PHY that does not answer is asked again the next time.
void Port::settle_flow_control(const Link& link) {
  if (!running_ || !flow_config_.autonegotiate || !flow_config_.pause.any()) return;
  if (link.up == pause_is_settled_) return;
  PauseModes modes;
  if (link.up && link.autonegotiated && link.duplex == Duplex::full) {
    const auto partner = partner_abilities(card_);
    if (!partner) return card_.log(LogLevel::warning, partner.error().what + "; flow control stays off");
    modes = negotiated_pause(flow_config_.pause, *partner);
  }
  const auto valid = checked(flow_config_);
  if (!valid || !write_flow_control(card_, *valid, modes)) return;
  pause_ = modes;
  pause_is_settled_ = link.up;
}

FlowControlState Port::flow_control() {
  if (!expect_open()) return {.config = flow_config_};
  const Link link = this->link();
  const auto valid = checked(flow_config_);
  return {.config = valid ? *valid : flow_config_,
          .active = running_ && link.up ? pause_ : PauseModes{},
          .packet_buffer = packet_buffers_.receive_bytes(config().packet_buffers)};
}

}  // namespace pollux::drivers::igb
