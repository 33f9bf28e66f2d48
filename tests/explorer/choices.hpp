// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pollux::test {

/// The choices of one run. Those beyond a given prefix are the first of their kind; all others are noted, to be taken
/// in later runs.
class Choices {
 public:
  using Path = std::vector<std::uint8_t>;

  explicit Choices(Path prefix) : path_(std::move(prefix)), given_(path_.size()) {}

  [[nodiscard]] std::size_t choose(std::size_t options, const std::string& state, std::set<std::string>& seen,
                                   std::vector<Path>& later) {
    if (at_ < given_) return path_[at_++];
    ++at_;
    if (!known_) known_ = !seen.insert(state).second;
    for (std::size_t other = 1; !known_ && other < options; ++other) {
      Path more = path_;
      more.push_back(static_cast<std::uint8_t>(other));
      later.push_back(std::move(more));
    }
    path_.push_back(0);
    return 0;
  }
  /// Whether an earlier run has been in this state, so that there is nothing new to see.
  [[nodiscard]] bool known() const { return known_; }

 private:
  Path path_;
  std::size_t given_;
  std::size_t at_ = 0;
  bool known_ = false;
};

}  // namespace pollux::test
