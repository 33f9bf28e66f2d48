// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux::drivers::igb {

/// A message of a mailbox. No call for mailboxes waits, since a virtual function could make it wait.
using MailboxWords = std::array<std::uint32_t, hw::igbvf::kMessageWords>;

/// What has happened since the last call; one bit per virtual function.
struct MailboxEvents {
  std::uint32_t resets = 0;
  std::uint32_t requests = 0;
  std::uint32_t acknowledgements = 0;
};
/// Reads and clears the events of the first `count` functions.
[[nodiscard]] MailboxEvents take_mailbox_events(const IgbCard& card, unsigned count);
/// Whether this function was reset since the events were taken. Clears that event alone.
[[nodiscard]] bool take_reset(const IgbCard& card, unsigned function);

/// Reads the message of a function and acknowledges it. nullopt: the function holds the memory, and does not release it
/// when told to; or the card was removed.
[[nodiscard]] std::optional<MailboxWords> read_message(const IgbCard& card, unsigned function);

/// Sends 1 to 16 words, which replace what the mailbox holds. Returns false if the function holds the memory.
bool write_message(const IgbCard& card, unsigned function, std::span<const std::uint32_t> words);

/// The virtual functions of a port: writes their settings to the card, and answers their requests. Without functions it
/// accesses no register. Function n has pool n; the port has the pool after the last function's.
class FunctionControl final : public VirtualFunctions {
 public:
  /// All outlive the object.
  FunctionControl(const IgbCard& card, const PortDriver& port, TxRates& rates)
      : card_(card), port_(port), rates_(rates) {}

  [[nodiscard]] unsigned max_functions() const override;
  [[nodiscard]] Result<VirtualFunctionState> function(unsigned number) override;
  [[nodiscard]] Result<void> reset_function(unsigned number) override;

  /// Whether the functions that are enabled already leave a queue for the port. Error not_supported.
  [[nodiscard]] Result<void> adopt() const;
  /// The card was replaced: enables as many functions as there were, with their settings. Errors: not_supported, and
  /// those of Device::set_functions.
  [[nodiscard]] Result<void> attach();
  [[nodiscard]] unsigned count() const noexcept { return static_cast<unsigned>(port_.settings().functions.size()); }
  [[nodiscard]] bool enabled() const noexcept { return count() != 0; }
  /// RAH.POOLSEL of the port's own address.
  [[nodiscard]] std::uint32_t own_pools() const noexcept { return enabled() ? 1U << count() : 0; }

  /// Whether a function receives every multicast frame, so that the port's own filter must let them pass.
  [[nodiscard]] bool wants_all_groups() const;

  /// Gives the VLANs of the port and its functions filters. Errors: invalid_argument (too many functions), busy (no
  /// room for the VLANs).
  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) const;
  /// Enables as many functions as there are now, or applies what has changed of one. Errors: those of
  /// Device::set_functions.
  [[nodiscard]] Result<void> apply(const PlacedSettings& from, const PlacedSettings& to);
  /// The card's counters begin again.
  void note_counters();
  /// Writes the functions' settings and those of the port's pool. At each start, after the filters were cleared, and
  /// before the card receives.
  void start();
  /// Tells the functions that they can begin. At the end of a start.
  void announce() const;
  /// Stops the functions' traffic and tells them. They must begin again after the next start.
  void stop();
  /// Writes what has changed of the filters, and the settings of the port's own pool. The port runs.
  void write_port(const PlacedSettings& from, const PlacedSettings& to);
  /// Answers at most one request of each function.
  void service();
  /// Tells the functions that the link has changed.
  void follow(const Link& link);

 private:
  using Refusal = std::optional<VirtualFunctionRefusal>;
  static constexpr std::size_t kCounted = 7;
  /// What a function has requested since its reset. Its VLANs are in requested_vlans_.
  struct Requests {
    std::optional<MacAddress> mac = {};
    std::map<std::uint32_t, MacAddress> addresses = {};  ///< other ones, by receive address
    std::vector<std::uint16_t> groups = {};              ///< their hashes
    bool all_multicast = false;
    bool many_groups = false;  ///< more than a message holds, so that all pass
    std::uint32_t max_frame = wire_bytes(1500);
    [[nodiscard]] bool wants_all_groups() const noexcept { return all_multicast || many_groups; }
  };
  struct Function {
    VirtualFunctionState state;  ///< without `mac`
    Requests requests;

    // Of the port's last message: whether the function's driver has not read it, and whether it tells the driver either
    // that it may send requests or that it must announce itself.
    bool is_unread = false;
    bool tells_state = false;
    std::array<std::uint32_t, kCounted> counted{};  ///< the card's counters at the last look
  };

  /// A VLAN that functions have requested.
  struct RequestedVlan {
    std::uint16_t vlan = 0;  ///< 0: none
    std::uint32_t pools = 0;
  };
  struct PoolAddress {
    MacAddress mac{};
    std::uint32_t pools = 0;  ///< 0: none
    [[nodiscard]] bool operator==(const PoolAddress&) const = default;
  };
  /// What the card's filters have with some settings, and with what the functions have requested.
  struct Filters {
    std::array<PoolAddress, reg::RAL::kCount> addresses{};  ///< from 1 on
    HashTable groups{};
    HashTable unicast{};  ///< of the port
    std::array<reg::VLVF::Value, reg::VLVF::kCount> entries{};
    std::array<std::uint32_t, reg::kVlanTableWords> vlans{};

    void add_vlan(std::uint32_t entry, std::uint16_t vlan, std::uint32_t pools);
  };

  [[nodiscard]] const VirtualFunctionConfig& config(unsigned number) const {
    return port_.settings().functions[number];
  }
  /// A pool for the port must be left.
  [[nodiscard]] unsigned most_functions() const noexcept { return card_.traits->pools - 1U; }
  [[nodiscard]] Result<void> expect_function(unsigned number) const;
  void write(unsigned number);
  [[nodiscard]] std::optional<MacAddress> mac_of(unsigned number) const;
  void forget_requests(unsigned number);
  void clear_queues(unsigned number) const;
  void write_limits(unsigned number) const;
  void write_port_pool() const;
  [[nodiscard]] reg::VMOLR::Value groups(bool all, bool has_hashes) const;
  void write_traffic() const;
  void write_spoof_checks() const;
  void write_inserted_tag(unsigned number) const;
  void send(unsigned number, std::span<const std::uint32_t> words);
  void send_control(unsigned number);
  [[nodiscard]] std::array<std::uint32_t, kCounted> read_counters(unsigned number) const;
  void count(unsigned number);
  void count_forged();
  void follow_second_queue(unsigned number);

  // function_filters.cpp
  [[nodiscard]] bool port_has_all_groups(const Settings& settings) const;
  [[nodiscard]] Filters filters(const PlacedSettings& settings) const;
  /// Writes what differs from `before`, which the card has; nullptr: after clear_filters.
  void write(const Filters* before, const Filters& after) const;
  /// Writes what a change of requests changes. The port runs.
  void change_requests(const std::function<void()>& change);
  void leave_vlans(unsigned number);
  [[nodiscard]] Result<void> place_vlans(const PlacedSettings& from, PlacedSettings& to) const;
  /// Returns false if there is no room.
  [[nodiscard]] bool request_vlan(unsigned number, std::uint16_t vlan, bool receive);

  // function_requests.cpp
  void on_reset(unsigned number);
  void on_request(unsigned number);
  void on_acknowledgement(unsigned number, bool has_requested);
  void answer_reset(unsigned number);
  [[nodiscard]] Refusal carry_out(unsigned number, const MailboxWords& words);
  [[nodiscard]] Refusal request_address(unsigned number, const MailboxWords& words);
  [[nodiscard]] Refusal request_other_address(unsigned number, std::uint32_t action, const MacAddress& mac);
  [[nodiscard]] Refusal request_multicast(unsigned number, const MailboxWords& words);
  [[nodiscard]] Refusal request_vlan(unsigned number, const MailboxWords& words);
  [[nodiscard]] Refusal request_max_frame(unsigned number, std::uint32_t bytes);
  [[nodiscard]] Refusal request_promiscuous(unsigned number, std::uint32_t word);

  const IgbCard& card_;
  const PortDriver& port_;
  TxRates& rates_;
  std::array<Function, hw::igb::kPools> functions_{};
  std::array<RequestedVlan, reg::VLVF::kCount> requested_vlans_{};  // by entry
  bool link_up_ = false;
};

}  // namespace pollux::drivers::igb
