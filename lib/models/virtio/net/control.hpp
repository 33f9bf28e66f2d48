// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/virtio/net/core.hpp"

namespace pollux::models::virtio {

/// The control queue. VIRTIO 1.3, 5.1.6.5. A command that the negotiated features do not have, or whose data has
/// another length, is answered with an error and changes nothing.
class Control {
 public:
  struct Hooks {
    std::function<void()> announced;       ///< the driver has seen NET_STATUS.ANNOUNCE
    std::function<void()> config_changed;  ///< a field of the device's configuration has changed
  };
  Control(Core& core, Hooks hooks) : core_(core), hooks_(std::move(hooks)) {}

  /// Executes the commands that are available. True if more may be.
  [[nodiscard]] bool work();

 private:
  using Data = std::span<const std::uint8_t>;
  [[nodiscard]] bool execute(std::uint8_t control_class, std::uint8_t command, Data data);
  [[nodiscard]] bool set_rx_mode(std::uint8_t command, Data data);
  [[nodiscard]] bool set_addresses(Data data);
  [[nodiscard]] bool set_address(Data data);
  [[nodiscard]] bool set_vlan(std::uint8_t command, Data data);
  [[nodiscard]] bool set_pairs(Data data);
  [[nodiscard]] bool set_rss(Data data);
  [[nodiscard]] bool set_hash(Data data);
  [[nodiscard]] bool set_offloads(Data data);
  [[nodiscard]] bool set_coalescing(std::uint8_t command, Data data);
  /// Executes and answers the command in `chain_`. False: the queue is not to go on.
  [[nodiscard]] bool run_command();
  [[nodiscard]] bool answer(const Chain& chain, bool done);

  Core& core_;
  Hooks hooks_;
  Chain chain_;
  std::vector<std::uint8_t> request_;
  std::vector<std::uint8_t> result_;  // what follows the status, of a command that reads
};

}  // namespace pollux::models::virtio
