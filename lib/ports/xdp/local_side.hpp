// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ports/xdp/interface.hpp"
#include "ports/xdp/kernel_side.hpp"

namespace pollux::xdp {

/// Does with the privileges of the process what a port needs them for. The program is attached by a bpf_link, so the
/// kernel detaches it when the process dies. Linux, Documentation/bpf/map_xskmap.rst.
class LocalSide final : public KernelSide {
 public:
  /// `interface` outlives it; `name` is for messages.
  LocalSide(std::string name, const Interface& interface) : name_(std::move(name)), interface_(interface) {}

  [[nodiscard]] bool has_chains() const noexcept override;
  [[nodiscard]] std::uint16_t hints() const override { return hints_of(interface_.index()); }
  [[nodiscard]] Result<FileDescriptor> make_socket(std::optional<std::uint32_t> busy_poll) override;
  [[nodiscard]] Result<FileDescriptor> make_counters() override;
  [[nodiscard]] Result<FileDescriptor> load(const std::vector<PlacedRule>& rules, std::uint16_t hints) override;
  [[nodiscard]] int attach(Attach where) override;
  [[nodiscard]] Result<void> replace(const std::vector<PlacedRule>& rules) override;
  void detach() noexcept override;
  [[nodiscard]] Result<void> join(const MacAddress& mac, bool promiscuous, bool all_multicast) override;
  [[nodiscard]] std::string other_program() override;
  [[nodiscard]] std::string default_route() override;

  /// Keeps the program attached; -1 if it is not.
  [[nodiscard]] int link() const noexcept { return link_.get(); }

 private:
  [[nodiscard]] Result<FileDescriptor> load_rules(const std::vector<PlacedRule>& rules) const;

  std::string name_;
  const Interface& interface_;
  FileDescriptor counters_;
  FileDescriptor sockets_;
  FileDescriptor program_;
  HintCalls hint_calls_;  // of the program
  FileDescriptor link_;
  Membership membership_;
};

}  // namespace pollux::xdp
