// SPDX-License-Identifier: BSD-3-Clause
// Memory for DMA: huge pages by size and NUMA node, and the limit on locked memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <fstream>
#include <string>
#include <vector>

#include "base/shell_words.hpp"
#include "doctor/checks.hpp"
#include "doctor/vfio_files.hpp"
#include "host/handover.hpp"
#include "mem/huge_pages.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

/// What a port with default settings maps in huge pages: its own pool of 3,648 mbufs and two rings of 512 descriptors.
constexpr host::MemlockDemand kDefaultPort{1, 3648, 2368, 2, 512 * 16, 2ULL << 20U};
constexpr host::MemlockDemand kInOrdinaryPages{1, 3648, 4096, 2, 512 * 16, 2ULL << 20U};
/// What --fix reserves: enough for three ports with 16,384 mbufs each.
constexpr std::uint64_t kReserved = 128ULL << 20U;

HugePageSource huge_pages_of(const pci::SystemPaths& paths) {
  return HugePageSource({paths.sys / "kernel/mm/hugepages", paths.sys / "devices/system/node", false});
}

std::vector<int> memory_nodes(const pci::SystemPaths& paths) {
  std::vector<int> nodes;
  for (const std::string& name : pci::sysfs::entries(paths.sys / "devices/system/node")) {
    int number = 0;
    if (!name.starts_with("node")) continue;
    const auto [stop, error] = std::from_chars(name.data() + 4, name.data() + name.size(), number);
    const bool has_pools = pci::sysfs::exists(paths.sys / "devices/system/node" / name / "hugepages");
    if (error == std::errc{} && stop == name.data() + name.size() && has_pools) nodes.push_back(number);
  }
  return nodes;
}

std::string pools_text(HugePageSource& source, int node) {
  std::vector<std::string> texts;
  for (const HugePagePool& pool : source.pools(node)) {
    texts.push_back(fmt::format("{} of {} of {} free", pool.available, pool.configured, readable_size(pool.page_size)));
  }
  return fmt::format("{}{}", node < 0 ? "" : fmt::format("node {}: ", node), fmt::join(texts, ", "));
}

/// Bytes of MemAvailable in /proc/meminfo; 0 if it cannot be read.
std::uint64_t available_memory(const pci::SystemPaths& paths) {
  std::ifstream file(paths.proc / "meminfo");
  for (std::string key; file >> key;) {
    std::uint64_t kibibytes = 0;
    if (key == "MemAvailable:" && file >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::string limit_text(const std::optional<std::uint64_t>& limit) {
  return limit ? readable_size(*limit) : "unlimited";
}

}  // namespace

Finding check_huge_pages(const Subject& subject) {
  HugePageSource source = huge_pages_of(subject.paths());
  const auto nodes = memory_nodes(subject.paths());
  const auto machine = source.pools();
  if (machine.empty()) return {State::warning, "this kernel has no huge pages", {}, "use one with CONFIG_HUGETLBFS"};
  std::vector<std::string> texts;
  for (const int node : nodes) texts.push_back(pools_text(source, node));
  const std::string found = nodes.empty() ? pools_text(source, -1) : fmt::format("{}", fmt::join(texts, "; "));
  const int own = subject.device ? subject.device->numa_node : -1;
  const int node = std::find(nodes.begin(), nodes.end(), own) != nodes.end() ? own : -1;
  std::uint64_t free = 0;
  for (const HugePagePool& pool : source.pools(node)) free += pool.available * pool.page_size;
  if (free >= kDefaultPort.bytes()) return {State::ok, found};

  const HugePagePool smallest = source.pools(node).front();
  const std::uint64_t missing = (kReserved - std::min(free, kReserved) + smallest.page_size - 1) / smallest.page_size;
  const bool safe = available_memory(subject.paths()) >= 4 * missing * smallest.page_size;
  std::vector<Invocation> steps;
  if (safe) {
    steps.push_back({{"tee", source.count_file(smallest, node)}, fmt::format("{}\n", smallest.configured + missing)});
  }
  // Without an IOMMU the card needs physical addresses, which only huge pages keep.
  const bool needed = subject.interface.empty() && real_groups(subject.paths()).empty();
  return {needed ? State::error : State::warning,
          found + (node < 0 ? "" : fmt::format("; the port is on node {}", node)),
          Remedy{source.command_for(smallest, missing, node), true, std::move(steps)},
          "at each start of the machine: the same line in a service, or hugepages= on the kernel's command line"};
}

Finding check_memlock(const Subject& subject) {
  const auto& locks = subject.caller.locks;
  if (!locks) {
    return {State::unknown,
            fmt::format("the limits of {}'s processes are not visible here", subject.caller.name),
            {},
            fmt::format("run `pollux doctor` as {}", subject.caller.name)};
  }
  const std::string found = fmt::format("{} may lock {}", subject.caller.name, limit_text(locks->soft));
  if (locks->exempt) return {State::ok, subject.caller.name + " may lock any amount (CAP_IPC_LOCK)"};
  const std::uint64_t wanted = host::MemlockDemand{}.bytes();
  if (!locks->soft || *locks->soft >= wanted) return {State::ok, found};
  Finding finding{*locks->soft < kDefaultPort.bytes() ? State::error : State::warning, found};
  finding.found += fmt::format(
      "; a port needs {} with default settings in huge pages, {} in ordinary ones, {} with 16,384 mbufs and all queues",
      readable_size(kDefaultPort.bytes()), readable_size(kInOrdinaryPages.bytes()), readable_size(wanted));
  // "$$" is the shell into which the user pastes the command: the limit holds for it and its children.
  const bool raisable = !locks->hard || *locks->hard >= wanted;
  finding.remedy = raisable ? Remedy{fmt::format("ulimit -l {}", wanted / 1024), false}
                            : Remedy{fmt::format("prlimit --pid $$ --memlock={0}:{0}", wanted), true};
  finding.advice = fmt::format("for each login: pollux setup-user {}", shell_quoted(subject.caller.name));
  return finding;
}

}  // namespace pollux::tool::doctor
