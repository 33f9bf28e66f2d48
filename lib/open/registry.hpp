// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// A URI scheme and the function that opens it.
struct Scheme {
  /// Functions that open a device or port. `which` is the text after the colon.
  using OpenDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view which);
  using OpenDriver = Result<std::unique_ptr<PortDriver>> (*)(Context& context, std::string_view which);
  /// Wraps `inner` in another device. `argument` is the text before the inner URI.
  using WrapDevice = Result<std::unique_ptr<Device>> (*)(Context& context, std::string_view argument,
                                                         std::unique_ptr<Device> inner);
  enum class Argument : bool { required, optional };

  std::string_view name;     ///< of static duration
  std::string_view example;  ///< of static duration
  std::variant<OpenDevice, WrapDevice, OpenDriver> open;
  Argument argument = Argument::required;  ///< whether text must follow the colon
};

/// The drivers and URI schemes of a Context: the built-in ones and those that the program added. Of the drivers, the
/// last one added has priority. Thread rule: any thread.
class Registry {
 public:
  Registry();

  [[nodiscard]] Result<void> add(CardDriver driver);
  /// A scheme that is there already stays as it is.
  void add_scheme(const Scheme& scheme);
  [[nodiscard]] std::optional<Scheme> find_scheme(std::string_view name) const;
  [[nodiscard]] std::vector<Scheme> schemes() const;

  struct Found {
    const CardDriver* driver;
    const KnownCard* card;
  };
  /// The driver that knows `card`. The pointers are valid as long as the registry.
  [[nodiscard]] std::optional<Found> find(const PciIdentity& card) const;
  /// The layout that record and replay need for a card; nullptr if the card cannot be recorded.
  [[nodiscard]] const CardLayout* find_layout(const PciIdentity& card) const;

  [[nodiscard]] std::vector<const CardDriver*> drivers() const;
  /// The drivers and the cards that they support, for a hint: "igb (8086:10c9 82576, ...); ...".
  [[nodiscard]] std::string describe() const;

 private:
  mutable std::mutex mutex_;
  // A deque, because its elements never move.
  std::deque<CardDriver> drivers_;
  std::vector<Scheme> schemes_;
};

/// Probes the device with the driver of the Context that knows its card. The error not_supported lists the supported
/// cards, or says why this card is not supported.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device);

/// A URI of the form "SCHEME:ARGUMENT".
struct Uri {
  std::string_view scheme;
  std::string_view which;  ///< the text after the colon; may be empty or contain another URI

  /// Returns nullopt if the text does not begin with a scheme and a colon. RFC 3986, 3.1: a scheme is a letter, then
  /// letters, digits, "+", "-" and "."; only lower case is accepted here.
  [[nodiscard]] static std::optional<Uri> parse(std::string_view text);
};

/// "ARGUMENT,URI": the text after the colon of a scheme that wraps another device.
struct WrapUri {
  std::string_view argument;  ///< a file or a fault; never empty
  std::string_view inner;     ///< the URI of the wrapped device

  /// The argument ends at the first comma that is followed by a URI according to `is_uri`, so the argument may contain
  /// commas itself. Returns nullopt if there is no such comma.
  [[nodiscard]] static std::optional<WrapUri> parse(std::string_view text,
                                                    const std::function<bool(std::string_view text)>& is_uri);
};

/// Opens a card of VFIO's, as `vfio::open_vfio`. With "?keep=WHERE" that of a program that has crashed, if it left one.
[[nodiscard]] Result<std::unique_ptr<Device>> open_card(Context& context, std::string_view which);

/// Opens the port that `uri` names: a device with the driver that knows its card, or a software port.
/// Errors: those of open_device, of probe_driver and of the software port.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri);

/// Adds what `open` knows without a call of the program. The core has one definition and the whole library another; a
/// program links one of these. Both list everything explicitly, so that the linker drops nothing from a static library,
/// and nothing runs before main.
void register_built_in(Registry& registry);

void register_core(Registry& registry);
void register_laboratory(Registry& registry);

}  // namespace pollux
