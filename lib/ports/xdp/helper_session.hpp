// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/xdp/helper_message.hpp"
#include "ports/xdp/local_side.hpp"

namespace pollux::xdp {

/// What a helper allows.
struct HelperPolicy {
  std::vector<std::string> interfaces;  ///< by name
  bool force = false;                   ///< also rules that take what the host needs of the default route's interface
};

/// The helper's end of a connection: does what a port asks for, within the policy. Everything that it has made ends
/// with it, but for what the port has descriptors of.
class HelperSession {
 public:
  /// `policy` outlives it.
  HelperSession(PeerSocket connection, const HelperPolicy& policy)
      : connection_(std::move(connection)), policy_(policy) {}

  [[nodiscard]] int descriptor() const noexcept { return connection_.get(); }
  /// Readable when it is time to `tell`; -1: never.
  [[nodiscard]] int events() const noexcept { return events_ ? events_->descriptor() : -1; }
  /// Tells a port that subscribed if the interface is gone.
  void tell() const noexcept;

  enum class Served {
    answered,
    too_early,  ///< the last answer has not been taken: call again when it is
    ended,      ///< the connection, its other end does not keep to the protocol, or memory is lacking
  };
  /// Answers a request. Nothing is answered, and a session does not end, while an answer waits for the port: its
  /// descriptors count for the user of the helper, also when this session is gone.
  [[nodiscard]] Served serve() noexcept;
  [[nodiscard]] bool answer_is_taken() const noexcept;
  /// Why the answer that ended the session could not be sent, of errno(3); 0 if that was not the reason.
  [[nodiscard]] int send_error() const noexcept { return send_error_; }

  [[nodiscard]] bool is_open() const noexcept { return interface_ != nullptr; }
  /// Of an open interface.
  [[nodiscard]] const std::string& interface() const noexcept { return interface_->name(); }

 private:
  struct Answer {
    std::uint32_t number = 0;
    std::string text = {};
    InterfaceFacts facts = {};              // of open
    InterfaceState state = {};              // of state
    std::vector<FileDescriptor> made = {};  // for the port
    int shown = -1;                         // a descriptor that both keep
  };
  [[nodiscard]] Served serve_request();
  /// nullopt: the request is none.
  [[nodiscard]] std::optional<Result<Answer>> answer(MessageReader& request);
  [[nodiscard]] std::optional<Result<Answer>> answer_open(MessageReader& request);
  [[nodiscard]] std::optional<Result<Answer>> answer_socket(MessageReader& request);
  [[nodiscard]] std::optional<Result<Answer>> answer_rules(MessageReader& request, bool replaces);
  [[nodiscard]] std::optional<Result<Answer>> answer_join(MessageReader& request);
  [[nodiscard]] Result<Answer> answer_subscribe();
  [[nodiscard]] Result<void> check(const std::vector<PlacedRule>& rules);

  PeerSocket connection_;
  const HelperPolicy& policy_;
  std::unique_ptr<Interface> interface_;
  std::optional<LocalSide> kernel_;
  bool has_counters_ = false;
  std::optional<DeletionEvents> events_;
  std::vector<FileDescriptor> subscribers_;  // connected to what the port has
  int send_error_ = 0;
};

}  // namespace pollux::xdp
