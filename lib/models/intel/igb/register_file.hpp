// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

/// The card's timers. The current time is the last value passed to `advance`.
class Timers {
 public:
  using Id = std::size_t;

  [[nodiscard]] Id add(std::function<void()> action) {
    entries_.push_back({kNever, std::move(action)});
    return entries_.size() - 1;
  }
  /// Starts a one-shot timer. A running one gets the new due time.
  void start(Id id, Duration delay) {
    entries_[id].due = now_ + delay;
    if (entries_[id].due < next_) next_ = entries_[id].due;
  }
  void cancel(Id id) { entries_[id].due = kNever; }
  [[nodiscard]] bool running(Id id) const { return entries_[id].due != kNever; }
  [[nodiscard]] Duration now() const { return now_; }
  /// A time before which no timer is due; Duration::max() if no timer runs.
  [[nodiscard]] Duration next() const { return next_; }

  void set_work_budget(WorkBudget& budget) noexcept { budget_ = &budget; }

  /// Runs all timers that are due at `now`, in order of due time, each at its own time. Time never decreases.
  /// What the budget leaves no room for runs later: software chooses intervals that are shorter than their work.
  void advance(Duration now) {
    while (next_ <= now) {
      if (budget_ != nullptr && !budget_->has_left()) return postpone(now);
      const auto earliest = std::ranges::min_element(entries_, {}, &Entry::due);
      next_ = earliest == entries_.end() ? kNever : earliest->due;
      if (next_ > now || next_ == kNever) break;
      now_ = std::max(now_, earliest->due);
      earliest->due = kNever;
      if (budget_ != nullptr) budget_->charge(0);
      earliest->action();
    }
    now_ = std::max(now_, now);
  }

 private:
  static constexpr Duration kNever = Duration::max();
  struct Entry {
    Duration due;
    std::function<void()> action;
  };

  void postpone(Duration now) {
    now_ = std::max(now_, now);
    next_ = now_ + WorkBudget::kPause;
    for (Entry& entry : entries_) {
      if (entry.due <= now_) entry.due = next_;
      next_ = std::min(next_, entry.due);
    }
  }

  std::vector<Entry> entries_;
  WorkBudget* budget_ = nullptr;  // nullptr: no limit
  Duration now_{0};
  Duration next_ = kNever;  // no timer is due before this
};

namespace hw = pollux::hw::igb;

/// The bit of a vector, pool or queue in a register with one bit for each.
constexpr std::uint32_t bit(std::uint32_t number) noexcept { return std::uint32_t{1} << number; }

/// The card's registers, as the tables in hw/intel/igb declare them: offsets, aliases and access modes. The part of
/// the card that owns a register adds its side effects as hooks.
class RegisterFile {
 public:
  /// `index` is the register's index in its array.
  using ReadHook = std::function<std::uint32_t(std::uint32_t index)>;
  using WriteHook = std::function<void(std::uint32_t index, std::uint32_t value)>;

  explicit RegisterFile(const hw::CardTraits& traits);
  RegisterFile(const RegisterFile&) = delete;
  RegisterFile& operator=(const RegisterFile&) = delete;

  [[nodiscard]] const hw::CardTraits& traits() const noexcept { return traits_; }

  /// Software's access at `offset`. Unknown offsets read zero and ignore writes; both are counted.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset);
  void write(std::uint32_t offset, std::uint32_t value);

  /// Access by the card itself, without side effects and access modes.
  template <class R>
  [[nodiscard]] typename R::Value get(std::uint32_t index = 0) const {
    return typename R::Value(words_[R::offset(index) / 4].value);
  }
  template <class R>
  void set(typename R::Value value) {
    set<R>(0, value);
  }
  template <class R>
  void set(std::uint32_t index, typename R::Value value) {
    words_[R::offset(index) / 4].value = value.raw();
  }
  template <class R>
  void change(std::uint32_t index, typename R::Setting setting) {
    set<R>(index, get<R>(index).with(setting));
  }

  /// Reads return the hook's result. Replaces the behaviour of the access mode.
  template <class R>
  void on_read(ReadHook hook) {
    const auto number = static_cast<std::uint16_t>(read_hooks_.size());
    read_hooks_.push_back(std::move(hook));
    for (std::uint32_t i = 0; i < R::kCount; ++i) words_[R::offset(i) / 4].read_hook = number;
  }
  /// Writes call the hook, which also stores the value. Replaces the behaviour of the access mode.
  template <class R>
  void on_write(WriteHook hook) {
    static_assert(writable(R::kMode), "the table says that software cannot write this register");
    const auto number = static_cast<std::uint16_t>(write_hooks_.size());
    write_hooks_.push_back(std::move(hook));
    for (std::uint32_t i = 0; i < R::kCount; ++i) words_[R::offset(i) / 4].write_hook = number;
  }

  /// Sets every register to zero. The parts then set their initial values.
  void clear();

  [[nodiscard]] std::uint64_t unknown_accesses() const noexcept { return unknown_accesses_; }

 private:
  struct Word {
    std::uint32_t value = 0;
    std::uint16_t target = 0;  // for an alias the number of the aliased word, otherwise the word's own
    std::uint16_t index = 0;
    std::uint16_t read_hook = 0;
    std::uint16_t write_hook = 0;
    Access access = Access::ro;
    bool known = false;
    bool cleared_by_write = false;  // what a read does not clear [E-RQDPC]
  };

  void add_register(const RegisterInfo& info);
  [[nodiscard]] Word* find(std::uint32_t offset);

  const hw::CardTraits& traits_;
  std::vector<Word> words_;               // of the whole BAR
  std::vector<std::uint16_t> registers_;  // numbers of the words that are registers, without aliases
  std::vector<ReadHook> read_hooks_;
  std::vector<WriteHook> write_hooks_;
  std::uint64_t unknown_accesses_ = 0;
};

/// The counters of the register group "statistics". They saturate at all ones and clear on read. A read of the high
/// half of an octet counter clears both halves (8254x manual, 13.7.31, for GORC).
class Statistics {
 public:
  explicit Statistics(RegisterFile& registers);

  template <class R>
  void count(std::uint32_t index = 0) {
    const std::uint32_t value = registers_.get<R>(index).raw();
    if (value != ~std::uint32_t{0}) registers_.set<R>(index, typename R::Value(value + 1));
  }

  /// Counts a frame that passed the filters, received or missed. `bytes` includes the FCS.
  void arrived(std::size_t bytes);
  /// Counts a frame of legal length that was stored in the packet buffer.
  void received(std::span<const std::byte> frame);
  /// Counts a frame for a pool. `inside`: another pool has sent it.
  void received_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside);
  /// Counts a frame that a pool has sent. `inside`: other pools have got it.
  void sent_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside);
  /// Counts any frame sent to the wire. `bytes` includes the FCS.
  void left(std::size_t bytes);
  /// Counts a frame that software sent to the wire.
  void sent(std::span<const std::byte> frame);

 private:
  template <class Low, class High>
  void add_octets(std::uint64_t octets);
  template <class Low, class High>
  void install_clear_hooks();
  template <class R>
  void add_to_pool(std::uint32_t pool, std::size_t amount);

  RegisterFile& registers_;
};

}  // namespace pollux::models::igb
