// SPDX-License-Identifier: BSD-3-Clause
// The settings of a port, written as text, are enough for another process: its card has the same registers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "pollux/net/settings_text.hpp"
#include "settings/calls.hpp"
#include "settings/sim_port.hpp"

namespace pollux::test::settings {
namespace {

constexpr std::uint64_t kSuccessors = 12;

/// Calls whose settings the drivers still keep for themselves.
bool is_kept_by_a_driver(const Call& call) {
  constexpr std::array kCalls{"set_link", "set_phy", "set_moderation", "set_frequency", "set_frame_stamps",
                              "set_wake", "set_led", "add a rule",     "set_function"};
  return std::ranges::any_of(kCalls, [&](const char* name) { return call.text.starts_with(name); });
}

/// What the program prints for a file.
std::string output_of(const std::string& program, const std::string& file) {
  std::string output;
  FILE* const pipe = ::popen((program + " " + file).c_str(), "r");
  char chunk[4096];
  while (const std::size_t count = std::fread(chunk, 1, sizeof chunk, pipe)) output.append(chunk, count);
  EXPECT_EQ(::pclose(pipe), 0) << output;
  return output;
}

/// The registers that a successor's card has.
Image successor_image(const std::string& text) {
  std::string path = "/tmp/pollux-settings-XXXXXX";
  const int file = ::mkstemp(path.data());
  EXPECT_GE(file, 0);
  ::close(file);
  std::ofstream(path) << text;
  const std::string output = output_of(POLLUX_SUCCESSOR, path);
  ::unlink(path.c_str());
  Image image;
  for (std::size_t begin = 0; begin < output.size(); begin = output.find('\n', begin) + 1) {
    const std::string line = output.substr(begin, output.find('\n', begin) - begin);
    const std::size_t space = line.rfind(' ');
    image.registers[line.substr(0, space)].value =
        static_cast<std::uint32_t>(std::stoul("0" + line.substr(space + 1), nullptr, 16));
  }
  return image;
}

TEST(Settings, AnotherProcessStartsWithTheRegistersOfTheFirst) {
  SimLab lab;
  for (std::uint64_t seed = 1; seed <= kSuccessors; ++seed) {
    Random random(seed);
    SimPort used(lab, seed);
    std::string made;
    for (const Call& call : random_calls(random, lab.pools)) {
      if (!is_kept_by_a_driver(call) && call.make(used)) made += "  " + call.text + "\n";
    }
    ASSERT_TRUE(used.settle()) << seed;
    const std::string text = settings_text(used.port().settings());
    EXPECT_EQ(difference(successor_image(text), used.image()), "") << "seed " << seed << ":\n" << made << text;
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace pollux::test::settings
