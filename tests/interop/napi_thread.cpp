// SPDX-License-Identifier: BSD-3-Clause
#include "napi_thread.hpp"

#include <sched.h>
#include <sys/types.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace pollux::test {
namespace {

/// From Linux 5.12 on.
bool set_threaded(const std::string& interface, std::string_view value) {
  std::ofstream file("/sys/class/net/" + interface + "/threaded");
  file << value << std::flush;
  return file.good();
}

/// The thread's name is "napi/INTERFACE-ID", and may be cut after 15 characters.
bool is_thread_of(const std::string& interface, std::string_view name) {
  const std::string wanted = "napi/" + interface;
  return name.starts_with(wanted) && (name.size() == wanted.size() || name[wanted.size()] == '-');
}

/// 0: it is not in /proc, as in a container.
pid_t napi_thread(const std::string& interface) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string name;
    std::ifstream(entry.path() / "comm") >> name;
    if (is_thread_of(interface, name)) return static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
  }
  return 0;
}

bool pin(pid_t process, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(processor), &set);
  return ::sched_setaffinity(process, sizeof set, &set) == 0;
}

bool set_scheduling(int policy, int priority) {
  const sched_param parameters{.sched_priority = priority};
  return ::sched_setscheduler(0, policy, &parameters) == 0;
}
bool set_real_time() { return set_scheduling(SCHED_FIFO, 1); }
bool set_ordinary() { return set_scheduling(SCHED_OTHER, 0); }

bool share_a_processor_with(pid_t thread) {
  const int processor = ::sched_getcpu();
  return thread != 0 && processor >= 0 && pin(0, processor) && pin(thread, processor) && set_real_time() &&
         set_ordinary();
}

}  // namespace

bool receive_only_while_asleep(const std::string& interface) {
  if (!set_threaded(interface, "1")) return false;
  if (share_a_processor_with(napi_thread(interface))) return true;
  static_cast<void>(set_threaded(interface, "0"));
  return false;
}

NapiHold::NapiHold() {
  if (!set_real_time()) throw std::runtime_error("a real-time priority is no longer allowed");
}
NapiHold::~NapiHold() { static_cast<void>(set_ordinary()); }

}  // namespace pollux::test
