// SPDX-License-Identifier: BSD-3-Clause
#include "base/shell_words.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace pollux {
namespace {

/// What a shell passes to a program as its words, each followed by a line break.
std::string words_of(const std::string& shell, const std::string& line) {
  const std::string script = shell + " <<'END_OF_LINE'\nprintf '%s\\n' " + line + "\nEND_OF_LINE\n";
  std::FILE* const pipe = ::popen(script.c_str(), "r");
  std::string all;
  std::array<char, 256> part{};
  while (const std::size_t got = std::fread(part.data(), 1, part.size(), pipe)) all.append(part.data(), got);
  return ::pclose(pipe) == 0 ? all : "failed";
}

TEST(ShellQuoted, OrdinaryNamesStayAsTheyAre) {
  for (const char* word : {"eth0", "br-lan_1", "eno1.7", "/run/netns/a", "0000:01:00.0", "a@b", "--net=x"}) {
    EXPECT_EQ(shell_quoted(word), word);
  }
}

TEST(ShellQuoted, AShellReadsEachWordAsItWas) {
  for (const std::string word : {"", "a;reboot", "$(id)", "`id`", "it's", "'", "a\"b", "a b", "*", "~", "#x", "a\\b",
                                 "{a,b}", "a|b", "&", "!x", "\u00e9"}) {
    EXPECT_NE(shell_quoted(word), word);
    EXPECT_EQ(words_of("sh", shell_quoted(word)), word + "\n");
    EXPECT_EQ(words_of("bash", shell_quoted(word)), word + "\n");
  }
}

TEST(ShellQuoted, HasNoCharacterThatATerminalMayNotShow) {
  const std::string word = "a'\\\033[2J\u202e;b";
  EXPECT_TRUE(is_printable_text(shell_quoted(word)));
  EXPECT_EQ(words_of("bash", shell_quoted(word)), word + "\n");
  EXPECT_EQ(words_of("sh", shell_quoted("\033';touch x;'")).find(' '), std::string::npos) << "it is one word, and runs";
}

TEST(ShellLine, JoinsWords) {
  EXPECT_EQ(shell_line(std::vector<std::string>{"ip", "link", "del", "a;b"}), "ip link del 'a;b'");
}

}  // namespace
}  // namespace pollux
