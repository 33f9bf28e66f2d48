// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pollux {

class PortCore;

/// The ports of a Context: a service of it, see Context::service.
/// Thread rule: any thread.
class PortRegistry {
 public:
  /// Returns the port's id.
  std::uint64_t add(std::weak_ptr<PortCore> core);
  void remove(std::uint64_t id);
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> ports() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::weak_ptr<PortCore>> ports_;
};

}  // namespace pollux
