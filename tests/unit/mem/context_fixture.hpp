// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_huge_pages.hpp"
#include "mem/context_state.hpp"

namespace pollux::test {

/// A Context's state that records its log, on a machine with the huge pages that the test chooses.
class ContextFixture {
 public:
  explicit ContextFixture(ContextOptions options = {}) : ContextFixture(std::move(options), HugePagePaths{}) {}
  ContextFixture(ContextOptions options, HugePagePaths paths) {
    options.log = [this](LogLevel level, std::string_view message) { log.emplace_back(level, std::string(message)); };
    state = std::make_shared<ContextState>(std::move(options), std::move(paths));
  }
  /// Without huge pages, so that the test does not depend on the machine's free pages.
  [[nodiscard]] static ContextOptions ordinary() {
    ContextOptions options;
    options.huge_pages = HugePages::never;
    return options;
  }

  std::vector<std::pair<LogLevel, std::string>> log;
  std::shared_ptr<ContextState> state;
};

}  // namespace pollux::test
