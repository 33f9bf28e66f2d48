// SPDX-License-Identifier: BSD-3-Clause
// Devices without a real card, devices around another device, and capture files.
#include "pollux/laboratory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/qtest/device.hpp"
#include "backends/sim/open_sim.hpp"
#include "models/intel/igb/card.hpp"
#include "models/virtio/net/card.hpp"
#include "open/registry.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/device/record.hpp"
#include "ports/pcap/open_pcap.hpp"

namespace pollux {
namespace {

using MakeCard = decltype(CardModel::make);

bool is_model_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// The in-process cards of a Context. The last one added has priority. Thread rule: any thread.
class CardModels {
 public:
  CardModels() : models_{{.name = "virtio-net", .make = *models::virtio::card_maker("")}} {
    for (const models::igb::NamedCard& card : models::igb::named_cards()) models_.push_back({card.name, card.make});
    models_.push_back({.name = "82576", .make = models::igb::make_card});
  }

  [[nodiscard]] Result<void> add(CardModel model) {
    if (!is_model_name(model.name)) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("'{}' is not a valid name for an in-process card", model.name),
                  "use lower-case letters, digits and '-'");
    }
    if (!model.make) {
      return fail(ErrorCode::invalid_argument, fmt::format("the in-process card '{}' has no make function", model.name),
                  "set CardModel::make");
    }
    const std::lock_guard lock(mutex_);
    models_.push_front(std::move(model));
    return {};
  }

  /// `text`: NAME, NAME+OPTION+OPTION..., or two of them, EVEN/ODD, for the cards with even and odd numbers. Without a
  /// name it is an 82576.
  [[nodiscard]] Result<sim::ModelFactory> find(std::string_view text) const {
    if (const auto slash = text.find('/'); slash != std::string_view::npos) {
      auto even = find(text.substr(0, slash));
      if (!even) return even;
      auto odd = find(text.substr(slash + 1));
      if (!odd) return odd;
      return [even = *std::move(even), odd = *std::move(odd)](unsigned number) {
        return number % 2 == 0 ? even(number) : odd(number);
      };
    }
    const auto plus = text.find('+');
    const auto name = text.substr(0, plus);
    auto make = find_named(name);
    if (!make || plus == std::string_view::npos) return make;
    if (name == "virtio-net") return models::virtio::card_maker(text.substr(plus + 1));
    return fail(ErrorCode::invalid_argument, fmt::format("the in-process card '{}' has no options", name),
                fmt::format("write card={}", name));
  }

 private:
  [[nodiscard]] Result<MakeCard> find_named(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    if (name.empty()) return models_.back().make;
    std::vector<std::string_view> names;
    for (const CardModel& model : models_) {
      if (model.name == name) return model.make;
      names.push_back(model.name);
    }
    return fail(ErrorCode::invalid_argument, fmt::format("there is no in-process card named '{}'", name),
                fmt::format("write card={}", fmt::join(names, " or card=")));
  }

  mutable std::mutex mutex_;
  std::deque<CardModel> models_;
};

/// The sim backend does not know the models, so this function finds the model for it.
Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view which) {
  return sim::open_sim(context, which, [&](std::string_view name) { return context.service<CardModels>().find(name); });
}

Result<std::unique_ptr<Device>> open_record(Context& context, std::string_view file, std::unique_ptr<Device> inner) {
  const Registry& registry = context.service<Registry>();
  const CardLayout* const layout = registry.find_layout(inner->identity());
  if (layout == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: cannot record this card: no driver describes its rings", inner->name()),
                "drivers: " + registry.describe());
  }
  return record_device(context, std::string(file), *layout, std::move(inner));
}

Result<std::unique_ptr<Device>> open_replay(Context& context, std::string_view file) {
  return replay_device(context, std::string(file),
                       [&](const PciIdentity& card) { return context.service<Registry>().find_layout(card); });
}

Result<std::unique_ptr<Device>> open_fault(Context& context, std::string_view fault, std::unique_ptr<Device> inner) {
  auto plan = parse_fault(fault);
  if (!plan) return pass_on(std::move(plan));
  return with_faults(context, std::move(inner), std::make_shared<FaultInjector>(*std::move(plan)));
}

}  // namespace

void register_laboratory(Registry& registry) {
  registry.add_scheme({"sim", "sim:0, an in-process card", open_sim});
  registry.add_scheme({"qtest", "qtest:0, a card of a QEMU without a guest", qtest::open_qtest});
  registry.add_scheme({"record", "record:FILE,sim:0, a device whose operation is recorded to a file", open_record});
  registry.add_scheme(
      {"fault", "fault:removal@1200,sim:0, a device with a fault injected at that register access", open_fault});
  registry.add_scheme({"replay", "replay:FILE, the card of a recording", open_replay});
  registry.add_scheme({"pcap", "pcap:in=FILE,out=FILE, capture files", pcap::open_pcap});
}

void add_laboratory(Context& context) { register_laboratory(context.service<Registry>()); }

Result<void> add_card_model(Context& context, CardModel model) {
  return context.service<CardModels>().add(std::move(model));
}

}  // namespace pollux
