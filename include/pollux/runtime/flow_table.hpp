// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// How large a table is, and when it forgets a flow.
struct FlowTableOptions {
  /// Entries, from 1 to kMaxFlows; rounded up to a power of two of at least 8.
  std::uint32_t capacity = 4096;
  /// An entry that was neither found nor stored for longer than this is gone. More than zero.
  Duration max_age = std::chrono::seconds(30);
  /// Decides which keys share a set. A random one keeps others from choosing keys that do.
  std::uint64_t seed = 0;
};

/// What a FlowTable has done since it was made.
struct FlowTableStats {
  std::uint64_t stored = 0;   ///< new entries
  std::uint64_t evicted = 0;  ///< entries that made room for another one, although they were not too old
  std::uint64_t aged = 0;     ///< entries that were removed because they were too old
};

/// A table of fixed size from 64-bit keys, such as a flow's hash or a MAC address, to values that age. A key belongs to
/// one set of kWays entries. If a set is full, a new entry replaces the one that was not used for longest.
/// All memory is allocated by `create`; each operation but `age` takes constant time. Times are those of the caller's
/// clock and must not decrease. The destructor of a value, and a predicate, may use the table. Thread rule: one thread.
template <class Value>
class FlowTable {
 public:
  static constexpr std::uint32_t kWays = 8;                           ///< entries of a set; a key can be in one set
  static constexpr std::uint32_t kMaxFlows = std::uint32_t{1} << 24;  ///< the largest `capacity`

  /// Errors: invalid_argument (capacity or age out of range). Throws std::bad_alloc if `operator new` fails.
  [[nodiscard]] static Result<FlowTable> create(const FlowTableOptions& options) {
    if (options.capacity < 1 || options.capacity > kMaxFlows) {
      return fail(ErrorCode::invalid_argument,
                  "flow table: a capacity of " + std::to_string(options.capacity) + " is outside of 1 to " +
                      std::to_string(kMaxFlows),
                  "choose the number of flows that are active at the same time, or some more");
    }
    if (options.max_age <= Duration::zero()) {
      return fail(ErrorCode::invalid_argument, "flow table: the maximum age must be more than zero",
                  "choose for how long a silent flow is kept, such as 30 s; Duration::max() keeps it for ever");
    }
    return FlowTable(options);
  }

  /// The other table may then only be destroyed or assigned to.
  ///@{
  FlowTable(FlowTable&&) noexcept = default;
  FlowTable& operator=(FlowTable&&) noexcept = default;
  ///@}
  ~FlowTable() {
    if constexpr (!std::is_trivially_destructible_v<Value>) {
      while (entries_ != nullptr && size_ != 0) erase_if([](std::uint64_t, const Value&) { return true; });
    }
  }

  /// Entries: what `create` was asked for, rounded up.
  [[nodiscard]] std::uint32_t capacity() const noexcept { return (mask_ + 1) * kWays; }
  /// Entries, including those that are too old and were not met since.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  /// Whether `size` is 0.
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Counts since `create`.
  [[nodiscard]] const FlowTableStats& stats() const noexcept { return stats_; }

  /// The value of `key`, which is used now; nullptr if there is none. Valid until the next call that is not const.
  [[nodiscard]] Value* find(std::uint64_t key, Time now) noexcept {
    Entry* const entry = lookup(key);
    if (entry == nullptr) return nullptr;
    if (is_old(*entry, now)) {
      static_cast<void>(forget_old(*entry));
      return nullptr;
    }
    entry->used = now;
    return &entry->value;
  }
  /// The same, but the entry's age stays as it is.
  [[nodiscard]] const Value* peek(std::uint64_t key, Time now) const noexcept {
    const Entry* const entry = lookup(key);
    return entry == nullptr || is_old(*entry, now) ? nullptr : &entry->value;
  }
  /// Stores a value, which is used now. An earlier value of `key` is replaced.
  Value& store(std::uint64_t key, Value value, Time now) noexcept {
    // The earlier value is destroyed when the new one is in its place.
    if (Entry* const entry = lookup(key)) return put(*entry, std::move(value), now);
    Entry& entry = oldest_of(set_of(key));
    [[maybe_unused]] const Value before = make_room(entry, now);
    entry.key = key;
    ++stats_.stored;
    ++size_;
    return put(entry, std::move(value), now);
  }
  /// False: there was none.
  bool erase(std::uint64_t key) noexcept {
    Entry* const entry = lookup(key);
    if (entry == nullptr) return false;
    static_cast<void>(forget(*entry));
    return true;
  }
  /// Removes all entries that are too old. Returns their number. Takes time in proportion to the capacity, so call it
  /// on the control path; find and store do without.
  std::uint32_t age(Time now) noexcept {
    std::uint32_t removed = 0;
    for (Entry& entry : all()) {
      if (!is_old(entry, now)) continue;
      ++removed;
      static_cast<void>(forget_old(entry));
    }
    return removed;
  }
  /// Removes each entry for which `predicate(key, value)` is true. Returns their number. As slow as `age`.
  template <class Predicate>
  std::uint32_t erase_if(Predicate predicate) noexcept {
    std::uint32_t removed = 0;
    for (Entry& entry : all()) {
      if (entry.used == kFree || !predicate(entry.key, std::as_const(entry.value))) continue;
      if (entry.used == kFree) continue;  // the predicate has removed it itself
      ++removed;
      static_cast<void>(forget(entry));
    }
    return removed;
  }

 private:
  static constexpr Time kFree = Time::min();

  struct Entry {
    std::uint64_t key = 0;
    Time used = kFree;
    Value value{};
  };

  explicit FlowTable(const FlowTableOptions& options)
      : mask_(std::bit_ceil(std::max(options.capacity, kWays)) / kWays - 1),
        max_age_(options.max_age),
        seed_(options.seed),
        entries_(std::make_unique<Entry[]>(std::size_t{capacity()})) {}

  [[nodiscard]] std::span<Entry> all() noexcept { return {entries_.get(), capacity()}; }
  /// The entries among which `key` may be. The mixing steps are those of MurmurHash3's 64-bit finalizer.
  [[nodiscard]] Entry* set_of(std::uint64_t key) const noexcept {
    std::uint64_t mixed = key ^ seed_;
    mixed = (mixed ^ mixed >> 33) * 0xFF51AFD7ED558CCD;
    mixed = (mixed ^ mixed >> 33) * 0xC4CEB9FE1A85EC53;
    return &entries_[std::size_t{static_cast<std::uint32_t>(mixed >> 33) & mask_} * kWays];
  }
  [[nodiscard]] Entry* lookup(std::uint64_t key) const noexcept {
    Entry* const set = set_of(key);
    for (Entry* entry = set; entry != set + kWays; ++entry) {
      if (entry->key == key && entry->used != kFree) return entry;
    }
    return nullptr;
  }
  [[nodiscard]] bool is_old(const Entry& entry, Time now) const noexcept {
    return entry.used != kFree && now - entry.used > max_age_;
  }
  /// A free one counts as the oldest.
  [[nodiscard]] Entry& oldest_of(Entry* set) noexcept {
    return *std::min_element(set, set + kWays, [](const Entry& a, const Entry& b) { return a.used < b.used; });
  }
  Value& put(Entry& entry, Value value, Time now) noexcept {
    entry.used = now;
    std::swap(entry.value, value);
    return entry.value;
  }
  // These return the value, so that its destructor, which may use the table, runs when nothing is half changed.
  [[nodiscard]] Value make_room(Entry& entry, Time now) noexcept {
    if (entry.used == kFree) return Value{};
    if (is_old(entry, now)) return forget_old(entry);
    ++stats_.evicted;
    return forget(entry);
  }
  [[nodiscard]] Value forget(Entry& entry) noexcept {
    entry.used = kFree;
    --size_;
    return std::exchange(entry.value, Value{});
  }
  [[nodiscard]] Value forget_old(Entry& entry) noexcept {
    ++stats_.aged;
    return forget(entry);
  }

  std::uint32_t mask_;
  std::uint32_t size_ = 0;
  Duration max_age_;
  std::uint64_t seed_;
  std::unique_ptr<Entry[]> entries_;
  FlowTableStats stats_;
};

}  // namespace pollux
