// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ports/xdp/helper_message.hpp"
#include "ports/xdp/interface.hpp"
#include "ports/xdp/kernel_side.hpp"

namespace pollux::xdp {

/// Asks `pollux xdp-helper` for what a port needs privileges for. The program stays attached as long as this object
/// exists, also if the helper ends meanwhile; the rules then stay as they are.
class HelperClient final : public KernelSide {
 public:
  /// `path`: of the helper's socket; `name` is for messages. Errors: not_found (nobody listens there),
  /// permission_denied, io_error, timeout, and those of Interface::find.
  [[nodiscard]] static Result<std::unique_ptr<HelperClient>> open(const std::string& path, const std::string& interface,
                                                                  const std::string& name);

  /// Of the interface, which may be in another network namespace than this process.
  [[nodiscard]] const InterfaceFacts& interface() const noexcept { return interface_; }
  /// How the interface is; once the helper has ended, how it was last. Any thread.
  [[nodiscard]] InterfaceState state();
  /// Two sockets for DeletionEvents, once.
  [[nodiscard]] Result<std::vector<FileDescriptor>> subscribe();

  [[nodiscard]] bool has_chains() const noexcept override { return chains_; }
  [[nodiscard]] std::uint16_t hints() const override { return hints_; }
  [[nodiscard]] Result<FileDescriptor> make_socket(std::optional<std::uint32_t> busy_poll, RingSlots slots) override;
  [[nodiscard]] Result<FileDescriptor> make_counters() override;
  [[nodiscard]] Result<FileDescriptor> load(const std::vector<PlacedRule>& rules, std::uint16_t hints,
                                            bool chains) override;
  [[nodiscard]] int attach(Attach where) override;
  [[nodiscard]] Result<void> replace(const std::vector<PlacedRule>& rules) override;
  void detach() noexcept override;
  [[nodiscard]] Result<void> join(const MacAddress& mac, bool promiscuous, bool all_multicast) override;
  [[nodiscard]] std::string other_program() override;
  [[nodiscard]] std::string route_at_risk(const std::vector<PlacedRule>& rules) override;

 private:
  HelperClient(std::string name, FileDescriptor connection)
      : name_(std::move(name)), connection_(std::move(connection)) {}
  /// What the helper answers, without the result; an error that it reports.
  struct Answer {
    std::uint32_t number = 0;
    std::string text;
    InterfaceFacts facts;  // of open
    InterfaceState state;  // of state
    std::vector<FileDescriptor> descriptors;
  };
  [[nodiscard]] Result<Answer> ask(const MessageWriter& request, std::size_t descriptors = 0);
  [[nodiscard]] tl::unexpected<Error> not_known() const;
  [[nodiscard]] Result<FileDescriptor> ask_for_descriptor(const MessageWriter& request);

  std::string name_;
  InterfaceFacts interface_;
  std::mutex mutex_;           // of what follows: others ask for the state meanwhile
  FileDescriptor connection_;  // none once an answer has failed to come: the next one might be that
  InterfaceState state_;
  FileDescriptor link_;
  bool chains_ = false;
  std::uint16_t hints_ = 0;
};

}  // namespace pollux::xdp
