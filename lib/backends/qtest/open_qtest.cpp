// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/open_qtest.hpp"

#include <fmt/format.h>

#include <utility>

#include "backends/qtest/device.hpp"
#include "backends/qtest/target.hpp"

namespace pollux::qtest {

Result<std::shared_ptr<Machine>> Machines::get(Context& context, const Target& target) {
  const std::lock_guard guard(lock_);
  std::weak_ptr<Machine>& entry =
      machines_[fmt::format("{} {} {}", target.number / MachineConfig::kCards, target.card->name, target.qemu)];
  if (auto machine = entry.lock()) return machine;
  auto started = Machine::start(context, target);
  if (started) entry = *started;
  return started;
}

Result<std::unique_ptr<Device>> open_qtest(Context& context, std::string_view uri) {
  auto target = parse_target(uri);
  if (!target) return pass_on(std::move(target));
  auto machine = context.service<Machines>().get(context, *target);
  if (!machine) return pass_on(std::move(machine));
  auto device = QtestDevice::create(context, fmt::format("qtest:{}", target->number), *std::move(machine),
                                    target->number % MachineConfig::kCards);
  if (!device) return pass_on(std::move(device));
  return std::unique_ptr<Device>(*std::move(device));
}

}  // namespace pollux::qtest
