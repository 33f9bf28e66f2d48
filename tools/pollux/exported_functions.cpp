// SPDX-License-Identifier: BSD-3-Clause
#include "exported_functions.hpp"

#include <fmt/format.h>

#include <string_view>

#include "backends/sim/open_sim.hpp"
#include "function_socket.hpp"
#include "open_files.hpp"

namespace pollux::tool {
namespace {

constexpr std::string_view kInProcess = "sim:";

// The functions' cards work in the time of their wire. Its clock is that of the other Context, which owns it.
ContextOptions options_for(const Environment& environment) {
  return {.clock = std::shared_ptr<Clock>(std::shared_ptr<void>(), &environment.context.clock()),
          .log = environment.log,
          .huge_pages = HugePages::never};
}

}  // namespace

ExportedFunctions::ExportedFunctions(const Environment& environment)
    : environment_(environment), context_(options_for(environment)) {}

Result<void> ExportedFunctions::open_one(const std::string& port, const std::string& text) {
  const auto function = parse_function_socket("--socket", text);
  if (!function) return tl::unexpected<Error>(function.error());
  if (!port.starts_with(kInProcess)) {
    return fail(ErrorCode::not_supported, fmt::format("{}: only functions of an in-process card can be exported", port),
                "serve sim:0, or give the function to a virtual machine by VFIO");
  }
  const auto name = fmt::format("{}.vf{}", port.substr(kInProcess.size()), function->number);
  auto device = sim::open_function_for(context_, environment_.context, name);
  if (!device) return pass_on(std::move(device));
  auto server = vfio_user::Server::create(context_, *std::move(device), function->path);
  if (!server) return pass_on(std::move(server));
  servers_.push_back(*std::move(server));
  return {};
}

Result<void> ExportedFunctions::open(const std::string& port, const std::vector<std::string>& texts) {
  static_cast<void>(allow_open_files(kOwnFiles + texts.size() * vfio_user::Server::kMaxDescriptors));
  for (const std::string& text : texts) {
    if (auto opened = open_one(port, text); !opened) return opened;
  }
  return {};
}

}  // namespace pollux::tool
