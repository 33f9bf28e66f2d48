// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "observe/queue_meter.hpp"
#include "pollux/net/open_ports.hpp"

namespace pollux::observe {

/// Owns all meters: a service of the Context. One that could not be detached, since a thread does not leave its burst,
/// stays here until the Context ends.
class MeterStore {
 public:
  [[nodiscard]] RxMeter& make_rx();
  [[nodiscard]] TxMeter& make_tx();
  /// Destroys a meter that is attached to no queue.
  void destroy(const RxMeter& meter);
  void destroy(const TxMeter& meter);

 private:
  std::mutex mutex_;
  std::list<RxMeter> rx_;
  std::list<TxMeter> tx_;
};

/// The meters of the ports that clients watch: attached while one of them does.
class PortMeters {
 public:
  struct Queues {
    std::vector<RxMeter*> rx;  ///< by queue; nullptr: this queue cannot be observed any more
    std::vector<TxMeter*> tx;
  };

  explicit PortMeters(Context& context) : store_(context.service<MeterStore>()) {}

  /// Error: that of Port::attach_observer; then nothing is attached.
  [[nodiscard]] Result<void> watch(OpenPort& port, std::uint64_t client);
  void unwatch(OpenPort& port, std::uint64_t client);
  /// `client` watches nothing any more. Detaches what nobody watches.
  void forget_client(std::uint64_t client, std::vector<OpenPort>& ports);
  /// Attaches meters to queues that the port got meanwhile. nullptr: nobody watches the port.
  [[nodiscard]] const Queues* find(OpenPort& port);
  /// The rate of the cycles that meters count; 0: not known yet.
  [[nodiscard]] double cycles_per_second() const { return rate_.per_second(); }

 private:
  struct Watched {
    std::set<std::uint64_t> clients;
    Queues queues;
  };
  [[nodiscard]] Result<void> attach(OpenPort& port, Queues& queues);
  void detach(OpenPort& port, const Queues& queues);

  MeterStore& store_;
  CycleRate rate_;
  std::map<std::uint64_t, Watched> watched_;  // by OpenPort::id
};

}  // namespace pollux::observe
