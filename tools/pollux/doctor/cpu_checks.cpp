// SPDX-License-Identifier: BSD-3-Clause
// CPUs: frequency governor, isolation, and the port's NUMA node.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <map>
#include <set>
#include <vector>

#include "doctor/checks.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

namespace sysfs = pci::sysfs;

/// The CPUs of a list such as "0-3,8"; empty if it is malformed.
std::set<unsigned> parse_cpus(std::string_view list) {
  constexpr unsigned kMostCpus = 1U << 16U;
  std::set<unsigned> cpus;
  const char* at = list.data();
  const char* const end = list.data() + list.size();
  while (at != end) {
    unsigned first = 0;
    std::from_chars_result parsed = std::from_chars(at, end, first);
    unsigned last = first;
    if (parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    const char* const stop = parsed.ptr;
    if (parsed.ec != std::errc{} || last >= kMostCpus || (stop != end && *stop != ',')) return {};
    for (unsigned cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
    at = stop == end ? end : stop + 1;
  }
  return cpus;
}

std::string cpu_list(const pci::SystemPaths& paths, const std::string& file) {
  return sysfs::read_text(paths.sys / "devices/system" / file).value_or("");
}

/// The CPUs on which this process may run.
std::string allowed_cpus(const pci::SystemPaths& paths) {
  const std::string status = sysfs::read_text(paths.proc / "self/status").value_or("");
  constexpr std::string_view kKey = "\nCpus_allowed_list:\t";
  const auto at = status.find(kKey);
  if (at == std::string::npos) return {};
  const auto begin = at + kKey.size();
  return status.substr(begin, status.find('\n', begin) - begin);
}

std::vector<std::string> nodes_with_cpus(const pci::SystemPaths& paths) {
  std::vector<std::string> nodes;
  for (const std::string& name : sysfs::entries(paths.sys / "devices/system/node")) {
    if (name.starts_with("node") && !cpu_list(paths, "node/" + name + "/cpulist").empty()) nodes.push_back(name);
  }
  return nodes;
}

}  // namespace

Finding check_governor(const Subject& subject) {
  const auto directory = subject.paths().sys / "devices/system/cpu";
  std::map<std::string, std::vector<std::string>> cpus;  // by governor
  Invocation write{{"tee"}, "performance\n"};
  for (const std::string& name : sysfs::entries(directory)) {
    const auto file = directory / name / "cpufreq/scaling_governor";
    const auto governor = sysfs::read_text(file);
    if (!governor) continue;
    cpus[*governor].push_back(name);
    write.words.push_back(file);
  }
  if (cpus.empty()) return {State::unknown, "the kernel does not set it: a virtual machine, or the firmware does"};
  std::vector<std::string> texts;
  for (const auto& [governor, names] : cpus) texts.push_back(fmt::format("{} on {} CPUs", governor, names.size()));
  const std::string found = fmt::format("{}", fmt::join(texts, ", "));
  if (cpus.size() == 1 && cpus.begin()->first == "performance") return {State::ok, found};
  return {
      State::warning, found,
      Remedy{"echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor > /dev/null", true, {write}},
      "holds until the machine is restarted"};
}

Finding check_isolation(const Subject& subject) {
  const std::string isolated = cpu_list(subject.paths(), "cpu/isolated");
  const auto online = parse_cpus(cpu_list(subject.paths(), "cpu/online"));
  if (!isolated.empty()) return {State::ok, "isolated: " + isolated};
  if (online.empty()) return {State::unknown, "the list of CPUs cannot be read"};
  if (online.size() == 1)
    return {State::warning, "the machine has one CPU", {}, "polling leaves it to others only by sleeping"};
  const unsigned last = *online.rbegin();
  return {State::warning,
          fmt::format("none of {} CPUs is isolated", online.size()),
          {},
          fmt::format("for the CPU that polls, for example {0}, boot with the kernel parameters "
                      "isolcpus={0} nohz_full={0} rcu_nocbs={0}",
                      last)};
}

Finding check_numa(const Subject& subject) {
  const auto nodes = nodes_with_cpus(subject.paths());
  const int node = subject.device->numa_node;
  if (nodes.size() == 1) return {State::ok, "the machine has one node"};
  if (node < 0)
    return {State::unknown, fmt::format("the firmware does not tell the port's node; {} nodes", nodes.size())};
  const std::string local = cpu_list(subject.paths(), fmt::format("node/node{}/cpulist", node));
  const auto near = parse_cpus(local);
  if (near.empty())
    return {State::warning, fmt::format("node {}, which has no CPUs", node), {}, "use a slot of another node"};
  const std::string found = fmt::format("node {}, with the CPUs {}", node, local);
  const std::string allowed = allowed_cpus(subject.paths());
  for (const unsigned cpu : parse_cpus(allowed)) {
    if (near.contains(cpu)) return {State::ok, found};
  }
  if (allowed.empty()) return {State::unknown, found + "; the CPUs of this process cannot be read"};
  return {State::warning, fmt::format("{}; this process may run only on {}", found, allowed),
          Remedy{fmt::format("taskset -cp {} $$", local), false}};
}

}  // namespace pollux::tool::doctor
