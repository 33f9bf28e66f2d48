// SPDX-License-Identifier: BSD-3-Clause
// What acts on the port: ethtool -p, -t and --reset; and time stamps and wake-on-LAN: -T, and wol of -s.
#include <linux/net_tstamp.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <limits>
#include <string_view>

#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// Keeps the user from ending ethtool while this exists.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  /// Waits `seconds`, or until the user interrupts ethtool or has done so; without seconds, until then.
  void wait(std::uint32_t seconds) const {
    const timespec limit{seconds == 0 ? std::numeric_limits<std::int32_t>::max() : static_cast<time_t>(seconds), 0};
    while (sigtimedwait(&signals_, nullptr, &limit) < 0 && errno == EINTR) {
    }
  }

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

// The light is automatic again however the wait ends.
int identify(Port& port, void* data) {
  const std::uint32_t seconds = static_cast<const ethtool_value*>(data)->data;
  const HeldSignals signals;
  if (const int error = port.set({{"led", "blink"}})) return error;
  signals.wait(seconds);
  return port.set({{"led", "automatic"}});
}

/// The parts of the self-test, in the order and with the texts of Linux's igb.
struct Part {
  std::string_view name;
  const char* text = "";
};
constexpr std::array kParts{Part{"registers", "Register test  (offline)"}, Part{"nvm", "Eeprom test    (offline)"},
                            Part{"interrupts", "Interrupt test (offline)"},
                            Part{"loopback", "Loopback test  (offline)"}, Part{"link", "Link test   (on/offline)"}};

void put_result(ethtool_test& test, const Json& result) {
  for (std::size_t i = 0; i < kParts.size() && i < test.len; ++i) {
    if (text(result, "part") != kParts[i].name) continue;
    const std::string outcome = text(result, "outcome");
    const std::string detail = text(result, "detail");
    std::string line(kParts[i].name);
    line.append(" ").append(outcome).append(": ").append(detail);
    if (!detail.empty()) explain(line);
    if (outcome != "failed") continue;
    test.data[i] = 1;
    test.flags |= ETH_TEST_FL_FAILED;
  }
}

// As in Linux, an offline test stops the traffic of a running port.
int test(Port& port, void* data) {
  auto& request = *static_cast<ethtool_test*>(data);
  if ((request.flags & ETH_TEST_FL_EXTERNAL_LB) != 0) {
    explain(port.name() + " has no test with an external loopback", "use offline or online");
    return EOPNOTSUPP;
  }
  const bool offline = (request.flags & ETH_TEST_FL_OFFLINE) != 0;
  Json results;
  const int error = port.change("port.self_test", {{"offline", offline}, {"interrupt", offline}}, results);
  if (error != 0) return error;
  for (std::uint32_t i = 0; i < request.len; ++i) request.data[i] = 0;
  if (!results.is_array()) return EIO;
  for (const Json& result : results) put_result(request, result);
  return 0;
}

// A port is reset as a whole. What was done is taken out of the flags.
int reset(Port& port, void* data) {
  auto& flags = static_cast<ethtool_value*>(data)->data;
  if ((flags & ETH_RESET_MAC) == 0) {
    explain(port.name() + " is reset as a whole", "use --reset PORT dedicated");
    return EOPNOTSUPP;
  }
  if (const int error = port.change("port.reset")) return error;
  flags &= ~static_cast<std::uint32_t>(ETH_RESET_DEDICATED);
  return 0;
}

constexpr std::uint32_t bit(unsigned number) { return std::uint32_t{1} << number; }

// A clock of the program is no clock of the kernel, so it has no index.
int time_stamping(Port& port, void* data) {
  Json info;
  if (const int error = port.ask("port.info", info)) return error;
  auto& answer = *static_cast<ethtool_ts_info*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GET_TS_INFO;
  answer.phc_index = -1;
  if (!contains(member(info, "settings"), "stamps")) return 0;
  answer.so_timestamping = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
  answer.tx_types = bit(HWTSTAMP_TX_OFF) | bit(HWTSTAMP_TX_ON);
  answer.rx_filters = bit(HWTSTAMP_FILTER_NONE) | bit(HWTSTAMP_FILTER_PTP_V1_L4_SYNC) |
                      bit(HWTSTAMP_FILTER_PTP_V1_L4_DELAY_REQ) | bit(HWTSTAMP_FILTER_PTP_V2_L4_EVENT) |
                      bit(HWTSTAMP_FILTER_PTP_V2_L2_EVENT) | bit(HWTSTAMP_FILTER_PTP_V2_EVENT);
  return 0;
}

struct Event {
  std::uint32_t option = 0;
  const char* name = "";
};
constexpr std::array kEvents{Event{WAKE_MAGIC, "magic"}, Event{WAKE_UCAST, "unicast"}, Event{WAKE_MCAST, "multicast"},
                             Event{WAKE_BCAST, "broadcast"}, Event{WAKE_PHY, "link_change"}};

std::uint32_t options_of(const Json& events) {
  std::uint32_t options = 0;
  for (const Event& event : kEvents) {
    if (flag(events, event.name)) options |= event.option;
  }
  return options;
}

int wake(Port& port, void* data) {
  Json state;
  Json settings;
  if (const int error = port.ask("port.wake", state)) return error;
  if (const int error = port.settings(settings)) return error;
  auto& answer = *static_cast<ethtool_wolinfo*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GWOL;
  answer.supported = options_of(member(state, "supported"));
  answer.wolopts = options_of(member(settings, "wake"));
  return 0;
}

int set_wake(Port& port, void* data) {
  std::uint32_t left = static_cast<const ethtool_wolinfo*>(data)->wolopts;
  Json events = Json::object();
  for (const Event& event : kEvents) {
    events[event.name] = (left & event.option) != 0;
    left &= ~event.option;
  }
  if (left == 0) return port.set({{"wake", events}});
  explain(port.name() + " cannot wake by an event of the list", "events are p, u, m, b and g; d is none");
  return EOPNOTSUPP;
}

constexpr std::array kControlVerbs{
    Verb{ETHTOOL_PHYS_ID, identify},          Verb{ETHTOOL_TEST, test}, Verb{ETHTOOL_RESET, reset},
    Verb{ETHTOOL_GET_TS_INFO, time_stamping}, Verb{ETHTOOL_GWOL, wake}, Verb{ETHTOOL_SWOL, set_wake},
};

}  // namespace

std::vector<std::string> test_names() {
  std::vector<std::string> names;
  for (const Part& part : kParts) names.emplace_back(part.text);
  return names;
}

std::span<const Verb> control_verbs() { return kControlVerbs; }

}  // namespace pollux::ethtool
