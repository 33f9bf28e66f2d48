// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "pollux/device/device.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port.hpp"
#include "settings/asked.hpp"
#include "settings/image.hpp"
#include "settings/random.hpp"

namespace pollux::test::settings {

/// The pools that configurations name; they outlive the ports.
struct Pools {
  Mempool frames;
  Mempool headers;
};

/// A port, what the test has asked of it, and its card's registers by a way that does not lead through the port.
class CardPort {
 public:
  explicit CardPort(const Pools& pools, std::uint64_t seed) : pools_(pools), random_(seed) {}
  CardPort(const CardPort&) = delete;
  CardPort& operator=(const CardPort&) = delete;
  virtual ~CardPort() = default;

  [[nodiscard]] Port& port() { return *port_; }
  [[nodiscard]] const Pools& pools() const { return pools_; }
  [[nodiscard]] PortState state() { return port_->state(); }
  /// Poisons the card and starts the port. Does nothing in other states than `configured`.
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> stop();
  [[nodiscard]] Result<void> suspend_and_resume();
  /// Poisons the card between the two.
  [[nodiscard]] Result<void> detach_and_attach();
  /// Makes transmit queue 0 hang, and runs the service until it has reset the port. Does nothing if the card cannot.
  [[nodiscard]] Result<void> hang_and_recover();
  /// A function's driver announces itself to the started port, if that does not know it.
  [[nodiscard]] Result<void> announce(unsigned function);
  /// It does so, and sends a message.
  [[nodiscard]] Result<void> request(unsigned function, const std::vector<std::uint32_t>& words);
  /// Starts the port and each of its queues, ends what functions have requested, and waits for the link if there can be
  /// one. The drivers in `announced` are up.
  [[nodiscard]] Result<void> settle();
  /// Waits for the link for some seconds, and runs the service.
  [[nodiscard]] Result<void> wait_for_link();

  /// The registers of the running port.
  [[nodiscard]] Image image();
  /// Registers of a suspended port.
  [[nodiscard]] virtual Image image_asleep() = 0;

  Asked asked;
  std::set<std::uint16_t> stopped_rx, stopped_tx;
  std::set<unsigned> announced;  ///< functions whose drivers are up

 protected:
  /// Opens the card, also again.
  [[nodiscard]] virtual std::unique_ptr<Device> open_device() = 0;
  /// Puts a message into a function's mailbox.
  virtual void send(unsigned /*function*/, const std::vector<std::uint32_t>& /*words*/) {}
  /// Lets time pass.
  virtual void wait(Duration time) = 0;
  /// Makes the card's transmit queue hang. False: it cannot.
  [[nodiscard]] virtual bool hang(unsigned /*queue*/) { return false; }
  /// Appends what no register dump shows.
  virtual void append_hidden(Image& /*image*/) {}
  /// Opens the port for the first time, in `open_device`'s card.
  void open(Context& context);

 private:
  [[nodiscard]] std::unique_ptr<Device> device();
  /// Writes to registers that CTRL.RST keeps what an earlier owner may have left there.
  void poison(bool with_phy);
  void write_phy(unsigned number, std::uint16_t value);

  const Pools& pools_;
  Random random_;
  std::optional<Port> port_;
  Bar bar_;
  std::set<unsigned> requesting_;  // functions that have sent requests
  bool sized_buffers_ = false;     // a start has written the sizes of the packet buffers
};

}  // namespace pollux::test::settings
