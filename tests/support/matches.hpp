// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <regex.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

namespace pollux::test {

struct Match {
  std::size_t position;             // in the text
  std::vector<std::string> groups;  // the first is the whole; empty where a group has no part in the match
};

/// Each place of `text` that matches the extended regular expression (POSIX with glibc's additions). A source with
/// <regex> would take seconds more to compile.
inline std::vector<Match> matches(const std::string& text, const std::string& expression) {
  regex_t compiled;
  if (regcomp(&compiled, expression.c_str(), REG_EXTENDED) != 0) throw std::invalid_argument(expression);
  std::vector<Match> all;
  std::array<regmatch_t, 8> at{};
  for (regoff_t from = 0;; from = at[0].rm_eo) {
    at[0] = {.rm_so = from, .rm_eo = static_cast<regoff_t>(text.size())};
    if (regexec(&compiled, text.c_str(), at.size(), at.data(), REG_STARTEND | (from > 0 ? REG_NOTBOL : 0)) != 0) break;
    Match& match = all.emplace_back(Match{static_cast<std::size_t>(at[0].rm_so), {}});
    for (std::size_t group = 0; group <= compiled.re_nsub && group < at.size(); ++group) {
      const auto [begin, end] = at[group];
      match.groups.push_back(
          begin < 0 ? "" : text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    }
    if (at[0].rm_eo == at[0].rm_so) break;  // no expression of ours matches nothing
  }
  regfree(&compiled);
  return all;
}

}  // namespace pollux::test
