// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string_view>

#include "backends/sim/wire.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::sim {

/// Makes the card behind `sim:number`. Handed in by whoever knows the models, since a backend does not.
using ModelFactory = std::unique_ptr<DeviceModel> (*)(unsigned number);

/// A Context's wires: sim:0 and sim:1 hang on the first, sim:2 and sim:3 on the second, ... The carrier is present as
/// long as the wire exists; frames for an end that is not open are the wire's own, counted drops. Thread rule: any
/// thread.
class Fabric {
 public:
  static constexpr unsigned kCards = 64;

  /// The wire that `number`, below kCards, hangs on; made when first asked for.
  [[nodiscard]] std::shared_ptr<Wire> wire(Clock& clock, unsigned number, ModelFactory make_card);

 private:
  std::mutex lock_;
  std::array<std::shared_ptr<Wire>, kCards / 2> wires_;
};

/// Opens the card that `which`, the rest of a "sim:" URI, names: a number below 64.
/// Errors: invalid_argument for anything else, busy if it is open, and those of Context::attach.
[[nodiscard]] Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which,
                                                       ModelFactory make_card);

}  // namespace pollux::sim
