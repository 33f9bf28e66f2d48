// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/xdp/interface.hpp"
#include "ports/xdp/kernel_side.hpp"

struct bpf_insn;  // libpcap has another one in <linux/bpf.h>'s place

namespace pollux::xdp {

/// Does with the privileges of the process what a port needs them for. The program is attached by a bpf_link, so the
/// kernel detaches it when the process dies. Linux, Documentation/bpf/map_xskmap.rst.
class LocalSide final : public KernelSide {
 public:
  /// `interface` outlives it; `name` is for messages.
  LocalSide(std::string name, const Interface& interface) : name_(std::move(name)), interface_(interface) {}
  /// The program stays attached while another process has a copy of `link`, such as the port whose helper ends.
  ~LocalSide() override = default;

  [[nodiscard]] bool has_chains() const noexcept override;
  [[nodiscard]] std::uint16_t hints() const override { return hints_of(interface_.index()); }
  [[nodiscard]] Result<FileDescriptor> make_socket(std::optional<std::uint32_t> busy_poll, RingSlots slots) override;
  [[nodiscard]] Result<FileDescriptor> make_counters() override;
  [[nodiscard]] Result<FileDescriptor> load(const std::vector<PlacedRule>& rules, std::uint16_t hints,
                                            bool chains) override;
  [[nodiscard]] int attach(Attach where) override;
  [[nodiscard]] Result<void> replace(const std::vector<PlacedRule>& rules) override;
  void detach() noexcept override;
  [[nodiscard]] std::optional<Held> held() const noexcept override;
  [[nodiscard]] Result<void> take(Taken taken) override;
  void leave() noexcept override;
  [[nodiscard]] Result<void> join(const MacAddress& mac, bool promiscuous, bool all_multicast) override;
  [[nodiscard]] std::string other_program() override;
  [[nodiscard]] std::string route_at_risk(const std::vector<PlacedRule>& rules) override;

  /// Keeps the program attached; -1 if it is not.
  [[nodiscard]] int link() const noexcept { return link_.get(); }

 private:
  [[nodiscard]] std::vector<bpf_insn> code_of(const std::vector<PlacedRule>& rules) const;
  [[nodiscard]] Result<FileDescriptor> load_rules(const std::vector<PlacedRule>& rules) const;
  [[nodiscard]] tl::unexpected<Error> not_exchanged(int error) const;

  std::string name_;
  const Interface& interface_;
  FileDescriptor counters_;
  FileDescriptor sockets_;
  FileDescriptor program_;
  std::vector<PlacedRule> rules_;  // as `load` was told
  HintCalls hint_calls_;           // of the program
  bool chains_ = true;             // as `load` was told
  bool takes_chains_ = true;       // the program says that it takes frames in several buffers
  FileDescriptor link_;
  Membership membership_;
};

}  // namespace pollux::xdp
