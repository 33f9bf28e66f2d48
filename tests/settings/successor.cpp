// SPDX-License-Identifier: BSD-3-Clause
// Brings a port on a fresh card to the settings in a file, starts it, and prints the registers of its card.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "pollux/net/settings_text.hpp"
#include "settings/sim_port.hpp"

namespace {

using namespace pollux;

Result<void> succeed(test::settings::SimLab& lab, test::settings::SimPort& port, const std::string& text) {
  const auto settings = parse_settings(text, std::vector{lab.pools.frames, lab.pools.headers});
  if (!settings) return tl::unexpected<Error>(settings.error());
  port.asked.config = Settings{.packet_buffers = settings->packet_buffers};
  auto restored = port.port().change([&](Settings& now) { now = *settings; });
  return restored ? port.settle() : restored;
}

}  // namespace

int main(int /*count*/, char** arguments) {
  std::ifstream file(arguments[1]);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  test::settings::SimLab lab;
  test::settings::SimPort port(lab, 4711);
  if (auto done = succeed(lab, port, text); !done) {
    std::printf("%s\n", done.error().message().c_str());
    return 1;
  }
  for (const auto& [name, entry] : port.image().registers) std::printf("%s %08x\n", name.c_str(), entry.value);
  return 0;
}
