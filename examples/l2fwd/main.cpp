// SPDX-License-Identifier: BSD-3-Clause
#include "common/output.hpp"
#include "l2fwd/l2fwd.hpp"

using namespace pollux;

int main(int argc, char** argv) {
  return tools::run_program("l2fwd", [&](const std::shared_ptr<spdlog::logger>& log, tools::Output& output) {
    examples::L2fwdOptions options;
    if (const auto status = examples::read_options(argc, argv, options)) return *status;
    return examples::l2fwd(options, log, output);
  });
}
