// SPDX-License-Identifier: BSD-3-Clause
#include "interop/far_end.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "backends/qtest/launch.hpp"

namespace pollux::test {
std::string FarEnd::obstacle() {
  return qtest::find_program("dpdk-testpmd") ? "" : "dpdk-testpmd is not installed (apt-get install dpdk-dev)";
}

FarEnd::FarEnd(std::string device_options, const std::string& commands) : device_options_(std::move(device_options)) {
  std::string name = testing::TempDir() + "pollux-vhost-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for sockets");
  folder_ = name;
  std::ofstream(folder_ / "commands") << commands;
  start();
}

FarEnd::~FarEnd() {
  kill();
  std::filesystem::remove_all(folder_);
}

std::string FarEnd::uri_options() const {
  return "card=virtio-net,vhost-user=" + (folder_ / "socket").string() +
         ",timeout=30000,queues=" + std::to_string(kQueues);
}

// The shell writes its process number, and becomes testpmd, which ends with its input. Without huge pages and PCI it
// needs no rights. Locked, the whole range that can be QEMU's RAM would become resident.
void FarEnd::start() {
  for (const char* number : {"0", "1"}) std::filesystem::remove(folder_ / (std::string("socket") + number));
  std::ostringstream command;
  command << "cd " << folder_ << " && echo $$ >pid && exec dpdk-testpmd --no-huge --no-shconf -m 64 --no-pci"
          << " --no-telemetry --file-prefix " << folder_.filename() << " -l 0,1";
  for (const char* number : {"0", "1"}) {
    command << " --vdev net_vhost" << number << ",iface=socket" << number << ",queues=" << kQueues << device_options_;
  }
  command << " -- --no-mlockall --cmdline-file=commands --total-num-mbufs=2048 --rxq=" << kQueues
          << " --txq=" << kQueues << " >output 2>&1";
  input_ = ::popen(command.str().c_str(), "we");
  if (input_ == nullptr) throw std::runtime_error("testpmd cannot be started");
  for (int tries = 0; !std::filesystem::exists(folder_ / "socket1"); ++tries) {
    if (tries == 600) {
      std::ostringstream output;
      output << std::ifstream(folder_ / "output").rdbuf();
      throw std::runtime_error("testpmd does not start: " + output.str());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void FarEnd::kill() {
  if (input_ == nullptr) return;
  pid_t process = 0;
  std::ifstream(folder_ / "pid") >> process;
  if (process > 0) ::kill(process, SIGKILL);
  ::pclose(std::exchange(input_, nullptr));
}

}  // namespace pollux::test
