// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/settings.hpp"
#include "ports/xdp/rule_code.hpp"

namespace pollux::xdp {

/// Where the kernel runs an XDP program.
enum class Attach : std::uint8_t {
  native,   ///< in the driver
  generic,  ///< in the stack, for drivers without XDP; each frame has been copied to a socket buffer before
};

/// The counters of rules, and of frames that go to the kernel: memory that the program writes. They outlive a program.
class RuleCounters {
 public:
  /// `name` is for messages. Errors: as Program::load.
  [[nodiscard]] static Result<RuleCounters> create(const std::string& name, std::uint16_t queues);
  RuleCounters(RuleCounters&& other) noexcept;
  RuleCounters& operator=(RuleCounters&&) = delete;
  ~RuleCounters();

  [[nodiscard]] int map() const noexcept { return map_.get(); }
  /// Sets the counters to 0 whose slot has another rule than before.
  void assign(const std::vector<PlacedRule>& rules) noexcept;
  /// The sum over all queues. Any thread.
  [[nodiscard]] std::uint64_t value(std::uint32_t slot) const noexcept;

 private:
  RuleCounters(FileDescriptor map, std::uint64_t* values, std::uint16_t queues) noexcept
      : map_(std::move(map)), values_(values), queues_(queues) {}

  FileDescriptor map_;
  std::uint64_t* values_;
  std::uint16_t queues_;
  std::array<FlowRuleId, kMaxRules> owners_{};
};

/// The XDP program of an interface: it gives the frames that its rules take to the socket in their queue's slot of a
/// map, and all others to the kernel's stack. It is attached by a bpf_link, so the kernel detaches it when this object
/// is destroyed or the process dies. Linux, Documentation/bpf/map_xskmap.rst.
class Program {
 public:
  /// Loads the program. `counters` outlive it; `name` is for messages. Errors: permission_denied, not_supported,
  /// io_error.
  [[nodiscard]] static Result<Program> load(const std::string& name, std::uint16_t queues,
                                            const std::vector<PlacedRule>& rules, RuleCounters& counters);

  /// Attaches it. Returns 0 or errno.
  [[nodiscard]] int attach(unsigned interface, Attach where);
  /// Exchanges the rules of the attached program: each frame meets either the old ones or the new ones. After an error
  /// the old ones are in force. Errors: as `load`.
  [[nodiscard]] Result<void> replace(const std::string& name, const std::vector<PlacedRule>& rules,
                                     RuleCounters& counters);
  /// Frames of `queue` that the rules take go to `socket` from now on. Returns 0 or errno.
  [[nodiscard]] int redirect(std::uint16_t queue, int socket);

 private:
  Program(FileDescriptor map, FileDescriptor program, std::uint16_t queues)
      : map_(std::move(map)), program_(std::move(program)), queues_(queues) {}

  FileDescriptor map_;
  FileDescriptor program_;
  FileDescriptor link_;
  std::uint16_t queues_;
};

}  // namespace pollux::xdp
