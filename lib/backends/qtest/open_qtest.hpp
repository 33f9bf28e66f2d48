// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "backends/qtest/machine.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::qtest {

/// A Context's QEMUs: one for qtest:0 and qtest:1, one for qtest:2 and qtest:3, and so on. A QEMU is started when the
/// first of its cards is opened, and ended when the last one is closed. Thread rule: any thread.
class Machines {
 public:
  /// The machine of `target`. Starts it if it does not run.
  [[nodiscard]] Result<std::shared_ptr<Machine>> get(Context& context, const Target& target);

 private:
  std::mutex lock_;
  std::map<std::string, std::weak_ptr<Machine>> machines_;
};

/// Opens the card that `uri` names, the part of a URI after "qtest:".
/// Errors: invalid_argument, busy if the card is open, and those of Machine::start.
[[nodiscard]] Result<std::unique_ptr<Device>> open_qtest(Context& context, std::string_view uri);

}  // namespace pollux::qtest
