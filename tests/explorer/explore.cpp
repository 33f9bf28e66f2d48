// SPDX-License-Identifier: BSD-3-Clause
#include "explorer/explore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "explorer/state.hpp"

namespace pollux::test {
namespace {

// The set of known fingerprints, with open addressing. A std::unordered_set would need five times the memory.
class Seen {
 public:
  /// Returns false if the fingerprint is already known.
  bool add(std::uint64_t fingerprint) {
    if (2 * (count_ + 1) > table_.size()) grow();
    if (!insert(fingerprint | 1)) return false;
    ++count_;
    return true;
  }

 private:
  bool insert(std::uint64_t key) {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t at = (key >> 20) & mask;; at = (at + 1) & mask) {
      if (table_[at] == key) return false;
      if (table_[at] != 0) continue;
      table_[at] = key;
      return true;
    }
  }
  void grow() {
    std::vector<std::uint64_t> old(table_.size() * 2);
    old.swap(table_);
    for (const std::uint64_t key : old) {
      if (key != 0) insert(key);
    }
  }

  std::vector<std::uint64_t> table_ = std::vector<std::uint64_t>(std::size_t{1} << 16);
  std::size_t count_ = 0;
};

// More would not fit into the memory of a machine on which all tests run.
constexpr std::size_t kMaxWaitingBytes = std::size_t{6} << 30;

class Search {
 public:
  Search(const Scenario& scenario, std::uint64_t max_states)
      : scenario_(scenario), max_states_(max_states), state_(scenario) {}

  Explored run() {
    note(0, Step::rx_see_tail);
    static_cast<void>(seen_.add(state_.fingerprint()));
    wait();
    result_.complete = true;
    for (std::size_t state = 0; !waiting_.empty() && result_.complete;) {
      const std::size_t first_of_next = steps_.size();
      for (; state < first_of_next && result_.complete; ++state) expand(state);
      if (!waiting_.empty()) ++result_.depth;
    }
    result_.states = steps_.size();
    return result_;
  }

 private:
  void note(std::size_t parent, Step step) {
    parents_.push_back(static_cast<std::uint32_t>(parent));
    steps_.push_back(step);
  }

  // The state waits to be expanded. Each has memory of its own, which is freed at once: all together need gigabytes.
  void wait() { state_.save(waiting_.emplace_back(std::make_unique<std::byte[]>(state_.saved_bytes())).get()); }

  // Takes every possible step from `state`, the first that waits.
  void expand(std::size_t state) {
    const std::unique_ptr<std::byte[]> saved = std::move(waiting_.front());
    waiting_.pop_front();
    for (std::uint32_t i = 0; i < kSteps && result_.complete; ++i) {
      const auto step = static_cast<Step>(i);
      state_.restore(saved.get());
      if (!state_.possible(step)) continue;
      state_.take(step);
      ++result_.transitions;
      if (!state_.violation().empty()) {
        result_.complete = false;
        result_.violation = state_.violation() + "\n" + path_to(state, step);
        return;
      }
      if (!seen_.add(state_.fingerprint())) continue;
      note(state, step);
      result_.wraps = std::max(result_.wraps, state_.wraps());
      result_.max_pool_empty = std::max(result_.max_pool_empty, state_.pool_empty_drops());
      wait();
      result_.complete = steps_.size() < max_states_ && waiting_.size() * state_.saved_bytes() < kMaxWaitingBytes;
    }
  }

  // Repeats the path to a state and describes each step in one line.
  [[nodiscard]] std::string path_to(std::size_t state, Step last) const {
    std::vector<Step> path{last};
    for (std::size_t at = state; at != 0; at = parents_[at]) path.push_back(steps_[at]);
    std::reverse(path.begin(), path.end());
    State again(scenario_);
    std::string text = fmt::format("     start: {}\n", again.describe());
    for (std::size_t i = 0; i < path.size(); ++i) {
      again.take(path[i]);
      text += fmt::format("{:4} {}: {}\n", i + 1, to_string(path[i]), again.describe());
    }
    return text;
  }

  Scenario scenario_;
  std::uint64_t max_states_;
  State state_;
  Explored result_;
  Seen seen_;
  std::vector<std::uint32_t> parents_;  // by state, in the order of discovery
  std::vector<Step> steps_;             // the step that led to it from its parent
  std::deque<std::unique_ptr<std::byte[]>> waiting_;
};

}  // namespace

Explored explore(const Scenario& scenario, std::uint64_t max_states) { return Search(scenario, max_states).run(); }

}  // namespace pollux::test
