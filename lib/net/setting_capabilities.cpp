// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux {
namespace {

using Rates = std::map<std::uint16_t, std::uint32_t>;

class AllSettings final : public SettingCapabilities,
                          private FlowControl,
                          private LinkControl,
                          private Interrupts,
                          private WakeOnLan,
                          private FrameStamps,
                          private PortClock,
                          private FlowRules,
                          private VirtualFunctions {
 public:
  /// `port` outlives the object.
  explicit AllSettings(PortMachine& port) noexcept : port_(port) {}

  [[nodiscard]] std::span<const CapabilityEntry> table() const noexcept override { return table_; }

 private:
  [[nodiscard]] PortDriver& driver() const noexcept { return port_.driver(); }
  [[nodiscard]] const Settings& settings() const noexcept { return driver().settings(); }
  [[nodiscard]] const PortLimits& port_limits() const { return driver().info().limits; }
  template <class C>
  [[nodiscard]] typename C::Part& part() const {
    return driver().part<C>();
  }
  [[nodiscard]] Result<void> change(std::string_view call, const std::function<void(Settings&)>& edit) {
    return port_.change(edit, call);
  }
  /// Lets the clock run, if no program has used it before.
  [[nodiscard]] Result<void> use_clock(std::string_view call) {
    if (settings().clock_frequency) return {};
    return change(call, [](Settings& settings) { settings.clock_frequency = 0; });
  }
  [[nodiscard]] Result<void> expect_function(unsigned number) const {
    if (number < functions()) return {};
    return refuse(port_.info().name, fmt::format("there is no virtual function {}", number),
                  fmt::format("{} are enabled; they are counted from 0", functions()));
  }
  /// Error invalid_argument: the port cannot have that receive queue. Error not_supported: it has no vectors.
  [[nodiscard]] Result<void> expect_vector(std::uint16_t queue) {
    const auto vectors = rx_vectors();
    if (!vectors && vectors.error().code == ErrorCode::not_supported) return tl::unexpected<Error>(vectors.error());
    if (queue < port_limits().max_rx_queues) return {};
    return refuse(port_.info().name, fmt::format("there is no receive queue {}", queue),
                  fmt::format("the port has at most {}", port_limits().max_rx_queues));
  }

  [[nodiscard]] Result<void> set_flow_control(const FlowControlConfig& config) override {
    return change("set_flow_control", [&](Settings& settings) { settings.flow_control = config; });
  }
  [[nodiscard]] FlowControlState flow_control() override { return part<FlowControl>().flow_control(); }
  [[nodiscard]] LinkModes supported_modes() const override { return port_limits().link_modes; }
  [[nodiscard]] LinkConfig link_config() const override {
    LinkConfig config = settings().link;
    if (config.advertised == kAllLinkModes) config.advertised = supported_modes();
    return config;
  }
  [[nodiscard]] Result<void> set_link_config(const LinkConfig& config) override {
    return change("set_link_config", [&](Settings& settings) { settings.link = config; });
  }
  [[nodiscard]] Result<void> restart_negotiation() override { return part<LinkControl>().restart_negotiation(); }
  [[nodiscard]] bool phy_enabled() const override { return settings().phy_enabled; }
  [[nodiscard]] Result<void> set_phy_enabled(bool enabled) override {
    return change("set_phy_enabled", [=](Settings& settings) { settings.phy_enabled = enabled; });
  }
  [[nodiscard]] Result<LinkDetails> link_details() override {
    auto details = part<LinkControl>().link_details();
    if (!details) return details;
    details->config = link_config();
    details->phy_enabled = phy_enabled();
    details->supported = supported_modes();
    return details;
  }
  [[nodiscard]] Result<std::vector<unsigned>> rx_vectors() override { return part<Interrupts>().rx_vectors(); }
  [[nodiscard]] Result<void> set_moderation(std::uint16_t queue, const InterruptModeration& moderation) override {
    if (auto valid = expect_vector(queue); !valid) return valid;
    const std::vector<unsigned> vectors = rx_vectors().value_or(std::vector<unsigned>());
    return change("set_moderation", [&](Settings& settings) {
      settings.moderation[queue] = moderation;
      for (std::uint16_t other = 0; queue < vectors.size() && other < vectors.size(); ++other) {
        if (vectors[other] == vectors[queue]) settings.moderation[other] = moderation;
      }
    });
  }
  [[nodiscard]] Result<InterruptModeration> moderation(std::uint16_t queue) override {
    if (auto valid = expect_vector(queue); !valid) return pass_on(std::move(valid));
    const auto set = settings().moderation.find(queue);
    return set == settings().moderation.end() ? InterruptModeration{} : set->second;
  }
  [[nodiscard]] Result<WakeEvents> wake_support() override { return part<WakeOnLan>().wake_support(); }
  [[nodiscard]] WakeEvents wake_events() const override { return settings().wake; }
  [[nodiscard]] Result<void> set_wake_events(const WakeEvents& events) override {
    return change("set_wake_events", [&](Settings& settings) { settings.wake = events; });
  }
  [[nodiscard]] Result<void> set_frame_stamps(const FrameStampsConfig& config) override {
    return change("set_frame_stamps", [&](Settings& settings) {
      settings.stamps = config;
      settings.clock_frequency = settings.clock_frequency.value_or(0);
    });
  }
  [[nodiscard]] FrameStampsConfig frame_stamps() const override { return settings().stamps; }
  [[nodiscard]] Result<std::optional<RxFrameStamp>> take_rx_stamp() override {
    return part<FrameStamps>().take_rx_stamp();
  }
  [[nodiscard]] Result<std::optional<Time>> take_tx_stamp() override { return part<FrameStamps>().take_tx_stamp(); }
  [[nodiscard]] Result<Time> time() override {
    return use_clock("time").and_then([this] { return part<PortClock>().time(); });
  }
  [[nodiscard]] Result<void> set_time(Time time) override {
    return use_clock("set_time").and_then([=, this] { return part<PortClock>().set_time(time); });
  }
  [[nodiscard]] Result<void> adjust_time(Duration offset) override {
    return use_clock("adjust_time").and_then([=, this] { return part<PortClock>().adjust_time(offset); });
  }
  [[nodiscard]] Result<double> set_frequency(double ppb) override {
    return change("set_frequency", [=](Settings& settings) { settings.clock_frequency = ppb; }).map([this] {
      return frequency();
    });
  }
  [[nodiscard]] double frequency() const override {
    const double step = limits().frequency_step;
    return std::round(settings().clock_frequency.value_or(0) / step) * step;
  }
  [[nodiscard]] PortClockLimits limits() const override { return port_limits().clock; }
  [[nodiscard]] Result<FlowRuleId> add(const FlowRule& rule) override {
    const FlowRuleId id{settings().last_rule + 1};
    const auto edit = [&](Settings& settings) {
      ++settings.last_rule;
      settings.rules.push_back({{id, rule}});
    };
    return change("add", edit).map([id] { return id; });
  }
  [[nodiscard]] Result<void> remove(FlowRuleId id) override {
    std::size_t removed = 0;
    const auto edit = [&](Settings& settings) {
      removed = std::erase_if(settings.rules, [id](const PlacedRule& rule) { return rule.id == id; });
    };
    if (auto changed = change("remove", edit); !changed || removed != 0) return changed;
    return fail(ErrorCode::not_found,
                fmt::format("{}: there is no flow rule {}", port_.info().name, static_cast<std::uint64_t>(id)),
                "use an id that add returned, once");
  }
  [[nodiscard]] std::vector<InstalledRule> rules() const override {
    return {settings().rules.begin(), settings().rules.end()};
  }
  [[nodiscard]] unsigned max_functions() const override { return part<VirtualFunctions>().max_functions(); }
  [[nodiscard]] unsigned functions() const override { return static_cast<unsigned>(settings().functions.size()); }
  [[nodiscard]] Result<void> set_functions(unsigned count) override {
    return change("set_functions", [=](Settings& settings) { settings.functions.assign(count, {}); });
  }
  [[nodiscard]] Result<void> set_function(unsigned number, const VirtualFunctionConfig& config) override {
    if (auto exists = expect_function(number); !exists) return exists;
    return change("set_function", [&](Settings& settings) { settings.functions[number] = config; });
  }
  [[nodiscard]] Result<VirtualFunctionState> function(unsigned number) override {
    if (auto exists = expect_function(number); !exists) return pass_on(std::move(exists));
    auto state = part<VirtualFunctions>().function(number);
    if (state) state->config = settings().functions[number];
    return state;
  }
  [[nodiscard]] Result<void> reset_function(unsigned number) override {
    auto exists = expect_function(number);
    return exists ? part<VirtualFunctions>().reset_function(number) : exists;
  }

  PortMachine& port_;
  std::array<CapabilityEntry, 8> table_{
      offer<FlowControl>(*this), offer<LinkControl>(*this), offer<Interrupts>(*this), offer<WakeOnLan>(*this),
      offer<FrameStamps>(*this), offer<PortClock>(*this),   offer<FlowRules>(*this),  offer<VirtualFunctions>(*this)};
};

}  // namespace

std::uint32_t rate_of(const Rates& rates, std::uint16_t index) noexcept {
  const auto rate = rates.find(index);
  return rate == rates.end() ? 0 : rate->second;
}

std::unique_ptr<SettingCapabilities> make_setting_capabilities(PortMachine& port) {
  return std::make_unique<AllSettings>(port);
}

}  // namespace pollux
