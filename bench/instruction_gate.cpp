// SPDX-License-Identifier: BSD-3-Clause
// Compares the instructions of the hot path with recorded counts. Cycles differ from run to run and from machine to
// machine; instruction counts of the same code do not.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "common/cli.hpp"
#include "faked_card.hpp"
#include "fixture.hpp"
#include "gated_cases.hpp"
#include "measure.hpp"
#include "recorded_values.hpp"

namespace pollux::bench {
namespace {

constexpr double kTolerance = 1.01;     // of the recorded value
constexpr double kOwnershipAtMost = 1;  // instructions per frame that Burst may cost over raw pointers
constexpr double kCAtMost = 15;         // instructions per frame that the interface for C may cost over that for C++
constexpr double kChecksAtMost = 6;     // instructions per frame that all checks together may cost
// The entry for a compiler that is known to need more than kOwnershipAtMost. --record never writes it.
constexpr const char* kOwnership = "forward less forward_raw/scalar/burst:32";
constexpr double kFlatWithin = 0.02;  // allowed difference from one queue to sixteen
constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kLeftOut = 77;  // ctest's SKIP_RETURN_CODE

// glibc has a memmove of its own for processors with AVX-512, whose instructions differ. With this it takes the one for
// AVX2 on all of them.
constexpr const char* kTunables = "glibc.cpu.hwcaps=-AVX512VL";

/// Starts the program again with kTunables, since glibc reads them only at the start.
void use_the_same_memmove(char** argv) {
  const char* const now = std::getenv("GLIBC_TUNABLES");
  if (now != nullptr && std::string_view(now) == kTunables) return;
  if (::setenv("GLIBC_TUNABLES", kTunables, 1) == 0) ::execv("/proc/self/exe", argv);
  give_up("the program cannot be started again with GLIBC_TUNABLES");
}

struct Options {
  std::string file;
  BurstMode mode = BurstMode::scalar;
  bool record = false;
  bool safety = false;
  bool queues = false;
  bool print = false;
  std::string unchecked{};
};

// The values recorded for this compiler and these flags. Without them nothing can be compared, which is printed.
std::optional<RecordedValues> recorded_for_us(const std::string& file) {
  const Records records = Records::read(file);
  if (records.compilers().empty())
    give_up(fmt::format("{} has no recorded values; use --record, or another --file", file));
  if (const RecordedValues* const ours = records.ours()) return *ours;
  fmt::print("LEFT OUT: nothing is compared: values are recorded for {}; this program was built by {} '{}'\n",
             records.compilers(), compiler_here(), flags_here());
  return std::nullopt;
}

double count(const GatedCase& gated) { return instructions_of(*gated.what, gated.setup); }

double count_in_bursts(std::string_view name) { return count({&find_case(name, kPollux), {.ring = kRing}}); }

int compare(const Options& options) {
  const std::optional<RecordedValues> recorded = recorded_for_us(options.file);
  if (!recorded) return kLeftOut;
  const std::map<std::string, double>& limits = recorded->instructions;
  int status = kPassed;
  fmt::print("{:<36} {:>9} {:>9}\n", "instructions a frame", "recorded", "now");
  for (const GatedCase& gated : gated_cases(options.mode)) {
    const double now = count(gated);
    const auto found = limits.find(gated.name());
    const bool known = found != limits.end();
    const double limit = known ? found->second * kTolerance : 0;
    std::string remark;
    if (!known)
      remark = "not recorded: see --record";
    else if (now > limit)
      remark = fmt::format("over by {:.1f} %", (now / found->second - 1) * 100);
    else if (now * kTolerance < found->second)
      remark = "fewer: record them";
    fmt::print("{:<36} {:>9} {:>9.2f}  {}\n", gated.name(), known ? fmt::format("{:.2f}", found->second) : "-", now,
               remark);
    if (known && now > limit) status = kFailed;
    if (!known && status == kPassed) {
      fmt::print("LEFT OUT: a case without a recorded count for this compiler; all others are compared\n");
      status = kLeftOut;
    }
  }
  return status;
}

int record(const Options& options) {
  Records records = Records::read(options.file);
  RecordedValues& values = records.make_ours();
  for (const BurstMode mode : kModes) {
    if (!processor_has(mode)) {
      fmt::print("LEFT OUT: {}, which this processor lacks; its values stay as they were\n", pollux::name(mode));
      continue;
    }
    for (const GatedCase& gated : gated_cases(mode)) {
      values.instructions[gated.name()] = count(gated);
      fmt::print("{:<36} {:>9.2f}\n", gated.name(), values.instructions[gated.name()]);
    }
  }
  records.write(options.file);
  return kPassed;
}

// Quotes `text` as one word for a shell.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char letter : text) word += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return word + "'";
}

// The count for forwarding of `program`, which is this program with a hot path without checks.
double count_unchecked(const std::string& program) {
  std::FILE* const pipe = popen((quoted(program) + " --print").c_str(), "r");
  double value = 0;
  const bool read = pipe != nullptr && std::fscanf(pipe, "%lf", &value) == 1;
  if (pipe == nullptr || pclose(pipe) != 0 || !read) give_up(fmt::format("'{} --print' printed no count", program));
  return value;
}

bool within(const char* what, double cost, double most) {
  fmt::print("{:<36} {:>9.2f} of at most {:.2f} instructions a frame\n", what, cost, most);
  return cost <= most;
}

// Checks the cost of ownership types, of checks and of the interface for C, all with bursts of 32 in scalar mode.
int prove_safety(const Options& options) {
  const std::optional<RecordedValues> recorded = recorded_for_us(options.file);
  if (!recorded) return kLeftOut;
  const auto ownership_here = recorded->instructions.find(kOwnership);
  const double most = ownership_here == recorded->instructions.end()
                          ? kOwnershipAtMost
                          : std::max(kOwnershipAtMost, ownership_here->second * kTolerance);
  const double forward = count_in_bursts("forward");
  const bool ownership = within("ownership types over raw pointers", forward - count_in_bursts("forward_raw"), most);
  const bool checks = within("all checks together", forward - count_unchecked(options.unchecked), kChecksAtMost);
  const bool c = within("C over C++", count_in_bursts("forward_c") - forward, kCAtMost);
  return ownership && checks && c ? kPassed : kFailed;
}

int prove_flat() {
  double one = 0;
  int status = kPassed;
  fmt::print("{:<10} instructions a frame\n", "queues");
  for (const std::uint16_t queues : {std::uint16_t{1}, std::uint16_t{4}, std::uint16_t{FakedCard::kQueues}}) {
    const double now = count(forward_on_queues(queues));
    if (queues == 1) one = now;
    const bool flat = now <= one * (1 + kFlatWithin) && now >= one * (1 - kFlatWithin);
    fmt::print("{:<10} {:.2f}{}\n", queues, now, flat ? "" : ", more than 2 % from one queue's");
    if (!flat) status = kFailed;
  }
  return status;
}

int run(const Options& options) {
  if (options.print) {
    fmt::print("{}\n", count_in_bursts("forward"));
    return kPassed;
  }
  if (options.record) return record(options);
  if (options.safety) return prove_safety(options);
  if (options.queues) return prove_flat();
  if (processor_has(options.mode)) return compare(options);
  fmt::print("LEFT OUT: {}, which this processor lacks\n", pollux::name(options.mode));
  return kLeftOut;
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  using namespace pollux::bench;
  use_the_same_memmove(argv);
  Options options{.file = POLLUX_BENCH_VALUES};
  std::string mode = "scalar";
  pollux::cli::App app("Counts the instructions of the hot path and compares them with recorded counts.");
  app.add_option("--file", options.file, "recorded values")->capture_default_str();
  app.add_option("--burst-mode", mode, "burst mode")
      ->capture_default_str()
      ->check(pollux::cli::one_of({"scalar", "avx2", "avx512"}));
  app.add_flag("--record", options.record, "write the current counts of every burst mode to the file");
  app.add_flag("--queues", options.queues, "only compare the counts from 1 to 16 queues");
  app.add_flag("--print", options.print, "only print the count of forwarding");
  auto* const unchecked = app.add_option("--unchecked", options.unchecked, "this program without checks");
  app.add_flag("--safety", options.safety, "only check the cost of ownership types and checks")->needs(unchecked);
  if (const auto status = app.parse(argc, argv, std::cout, std::cerr)) return *status;
  options.mode = *pollux::burst_mode_of(mode);
  return run(options);
}
