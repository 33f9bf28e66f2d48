// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "explorer/cards.hpp"
#include "explorer/private_members.hpp"
#include "explorer/scenario.hpp"
#include "pollux/mem/mempool.hpp"
#include "unit/mem/fake_domain.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::test {

/// The library's queues on rings of 8, with a pool, a cache, an application, and a card that takes one step at a time.
/// The whole state can be saved and restored.
class State {
 public:
  explicit State(const Scenario& scenario);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] bool possible(Step step) const;
  /// Takes a step and checks every invariant.
  void take(Step step);
  /// The first violation found; empty if there is none.
  [[nodiscard]] const std::string& violation() const { return violation_; }

  [[nodiscard]] std::size_t saved_bytes() const { return saved_bytes_; }
  void save(std::byte* to) const;
  void restore(const std::byte* from);

  /// A digest of everything that determines what can follow. Buffers are numbered in the order in which they are found.
  /// Two states with the same fingerprint have the same future.
  [[nodiscard]] std::uint64_t fingerprint() const;
  /// A readable description in one line.
  [[nodiscard]] std::string describe() const;

  /// How often each ring has wrapped; with two rings, the smaller number.
  [[nodiscard]] std::uint32_t wraps() const;
  [[nodiscard]] std::uint64_t pool_empty_drops() const { return scenario_.rx ? rx_->drops().pool_empty : 0; }

 private:
  using Descriptor = hw::intel::Descriptor;
  static constexpr std::uint32_t kMaxHeld = 16;

  // The changing state of the cards and the application.
  struct Own {
    ReceivingCard receiver;
    SendingCard sender;
    Tail rdt;
    Tail tdt;
    std::array<Mbuf*, kMaxHeld> held{};  // the application's frames, oldest first
    std::uint32_t held_count = 0;
    std::uint64_t frames_begun = 0;      // by the receiving card
    std::uint64_t frames_completed = 0;  // written back completely
    std::uint64_t frames_delivered = 0;
    std::uint64_t bad_completed = 0;
    std::uint64_t last_delivered = 0;  // the number of the last frame delivered, from 1
    std::uint64_t frames_made = 0;     // by the application
    std::uint64_t dropped = 0;         // frames made to be dropped
    std::uint64_t slots_polled = 0;
    std::array<std::uint64_t, kRing> posted{};  // the content of each transmit slot when it was posted
    std::array<std::uint32_t, kRing> wanted{};  // the kind of request of each transmit slot, or 0
  };
  struct Region {
    std::byte* at;
    std::size_t size;
  };

  // state.cpp
  void make_pool();
  void set_up_queues();
  void list_regions();
  void violate(std::string what);
  [[nodiscard]] bool is_buffer(std::uint64_t iova) const;
  [[nodiscard]] std::uint64_t* content_at(std::uint64_t iova) const;
  [[nodiscard]] static std::uint64_t& content(Mbuf& mbuf) { return *reinterpret_cast<std::uint64_t*>(mbuf.data()); }
  [[nodiscard]] std::uint32_t index_of(const Mbuf* mbuf) const;
  /// The mbuf at `address`; nullptr if no mbuf starts there.
  [[nodiscard]] Mbuf* buffer_at(const std::byte* address) const;

  // state_cards.cpp
  void step_receiver(Step step);
  void step_sender(Step step);
  void receiver_sees_tail();
  void receiver_fetches();
  void receiver_fills(std::uint32_t bytes, std::uint32_t half, std::uint64_t status);
  void receiver_stores_descriptor();
  void receiver_stores_status(bool again);
  void sender_sees_tail();
  void sender_fetches();
  void sender_sends();
  void sender_reports();
  [[nodiscard]] std::optional<std::uint32_t> next_report() const;

  // state_calls.cpp
  void step_application(Step step);
  void poll(std::uint32_t limit);
  void check_delivered(Mbuf& frame);
  void drop(bool oldest);
  void forward(std::uint32_t frames);
  void send(Step what);
  [[nodiscard]] Mbuf* make_frame(std::uint32_t bytes);
  std::uint32_t transmit(std::span<Mbuf* const> frames);
  void clean();

  // state_requests.cpp
  /// Writes the headers of a request into a frame of kWholeBytes. `kind`: 1 to 3.
  static void make_request(Mbuf& frame, std::uint32_t kind);
  /// Whether the slot that was posted holds a context descriptor.
  [[nodiscard]] bool is_context(std::uint32_t slot) const { return tx_in_.slots[slot] == nullptr; }
  /// The card takes a context, or needs one for a data descriptor.
  void use_context(const Descriptor& context);
  void check_request(std::uint32_t slot);

  // state_checks.cpp
  void check();
  void check_owners();
  void check_receive_ring();
  void check_receive_account();
  void check_transmit_ring();
  void claim(std::array<const char*, kMaxBuffers>& owners, const Mbuf* mbuf, const char* owner);
  [[nodiscard]] std::uint32_t unpolled() const;

  Scenario scenario_;
  PoolFixture fixture_;
  std::shared_ptr<FakeDomain> domain_ = std::make_shared<FakeDomain>();
  Own own_;
  std::optional<TailWindow> rdt_window_;
  std::optional<TailWindow> tdt_window_;
  DmaMemory ring_memory_;
  std::optional<Mempool> pool_;
  std::optional<MempoolCache> cache_;
  std::unique_ptr<drivers::intel::IntelRxQueue> rx_;
  std::unique_ptr<drivers::intel::IntelTxQueue> tx_;
  Descriptor* rx_ring_ = nullptr;
  Descriptor* tx_ring_ = nullptr;
  RxPrivateMembers rx_in_;
  TxPrivateMembers tx_in_;
  PoolPrivateMembers pool_in_;
  std::vector<Mbuf*> buffers_;  // by address
  std::uint32_t buffer_stride_ = 0;
  std::uint32_t headroom_ = 0;
  std::vector<Region> regions_;
  std::size_t saved_bytes_ = 0;
  std::vector<std::byte> start_;
  std::string violation_;
};

}  // namespace pollux::test
