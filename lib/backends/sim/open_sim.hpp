// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include "backends/sim/uri.hpp"
#include "backends/sim/wire.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::sim {

/// Makes the card behind `sim:number`.
using ModelFactory = std::function<std::unique_ptr<DeviceModel>(unsigned number)>;
/// The cards of a name; an empty one asks for those that a URI has which names none. Handed in by whoever knows the
/// models, since a backend does not.
using FindModel = std::function<Result<ModelFactory>(std::string_view name)>;

/// A Context's wires: sim:0 and sim:1 hang on the first, sim:2 and sim:3 on the second, ... The carrier is present as
/// long as the wire exists; frames for an end that is not open are the wire's own, counted drops. Thread rule: any
/// thread.
class Fabric {
 public:
  /// The wire that `uri.number` hangs on. Whoever opens the first of its cards says how it is made; while one is open,
  /// another setup is a contradiction. Errors: invalid_argument for that, and those of what stands at its link partner.
  [[nodiscard]] Result<std::shared_ptr<Wire>> wire(Clock& clock, const Uri& uri, const FindModel& find_model);
  /// nullptr if it was never opened.
  [[nodiscard]] std::shared_ptr<Wire> find(unsigned number) const;

 private:
  struct Entry {
    std::shared_ptr<Wire> wire;
    Setup setup;
    unsigned card = 0;  // the one at end 0
  };

  [[nodiscard]] static Result<std::shared_ptr<Wire>> make(Clock& clock, const Uri& uri, const ModelFactory& make_card);

  mutable std::mutex lock_;
  std::array<Entry, Uri::kCards / 2> entries_;
};

/// Opens the card that `which`, the rest of a "sim:" URI, names: see Uri.
/// Errors: invalid_argument for anything else, busy if it is open, those of Fabric::wire and of Context::attach.
[[nodiscard]] Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which,
                                                       const FindModel& find_model);
/// The same where there is one kind of card, whatever the URI says.
[[nodiscard]] Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which,
                                                       std::unique_ptr<DeviceModel> (*make_card)(unsigned number));

}  // namespace pollux::sim
