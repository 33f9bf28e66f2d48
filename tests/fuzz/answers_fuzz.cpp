// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary answers of a program to the tools that ask it: `pollux ports` and `exporter`, and the shared object of
// `pollux ethtool`, which writes into memory of ethtool's. Each line of the input is an answer without its id.
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "ethtool/shim/verbs.hpp"
#include "fuzz/require.hpp"
#include "metrics.hpp"
#include "telemetry_client.hpp"

namespace {

using namespace pollux;
using test::require;

/// A program that answers the n-th request of a client with the n-th line, before it is asked, and says no more. So no
/// client waits for it.
class Program {
 public:
  Program() {
    static_cast<void>(::unlink(path().c_str()));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(static_cast<char*>(address.sun_path), path().c_str(), sizeof address.sun_path - 1);
    require(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(listener_.get(), 8) == 0,
            "the program listens");
    std::thread([this] { serve(); }).detach();
  }
  [[nodiscard]] static std::string path() { return std::filesystem::current_path() / "7.sock"; }
  void set_answers(std::string_view text) {
    const std::lock_guard lock(mutex_);
    answers_.clear();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      answers_.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
  }

 private:
  [[noreturn]] void serve() {
    while (true) {
      const FileDescriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const std::string all = text();
      for (std::size_t sent = 0; sent < all.size();) {
        const ssize_t count = ::send(client.get(), all.data() + sent, all.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<std::size_t>(count);
      }
      ::shutdown(client.get(), SHUT_WR);
      std::array<char, 4096> requests;
      while (::recv(client.get(), requests.data(), requests.size(), 0) > 0) {
      }
    }
  }
  [[nodiscard]] std::string text() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (std::size_t i = 0; i < answers_.size(); ++i) all += fmt::format("{{\"id\":{},{}}}\n", i + 1, answers_[i]);
    return all;
  }

  FileDescriptor listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::mutex mutex_;
  std::vector<std::string> answers_;
};

bool is_shown_safely(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
}

void ask_as_tools() {
  if (const auto ports = tool::ports_of(Program::path())) {
    for (const tool::RunningPort& port : *ports) {
      require(is_shown_safely(port.name + port.uri + port.driver + port.state + port.program), "no control characters");
    }
  } else {
    require(is_shown_safely(ports.error().what + ports.error().hint), "no control characters in an error");
  }
  const tool::ProgramMetrics metrics([] { return std::vector{std::filesystem::current_path().string()}; });
  for (const auto& family : metrics.Collect()) {
    for (const auto& sample : family.metric) {
      for (const auto& label : sample.label) require(is_shown_safely(label.value), "no control characters in a label");
    }
  }
}

/// Memory of ethtool's for a request, of exactly the bytes that the kernel may write, so that the sanitizer watches it.
template <class Request>
std::vector<std::uint32_t> memory_for(std::uint32_t command, std::size_t more, auto prepare) {
  std::vector<std::uint32_t> memory((sizeof(Request) + more + 3) / 4);
  auto& request = *reinterpret_cast<Request*>(memory.data());
  request.cmd = command;
  prepare(request);
  return memory;
}

std::vector<std::uint32_t> memory_for(std::uint32_t command) {
  constexpr std::uint32_t kCount = 5;
  switch (command) {
    case ETHTOOL_GSTATS:
      return memory_for<ethtool_stats>(command, kCount * 8, [](auto& request) { request.n_stats = kCount; });
    case ETHTOOL_GSTRINGS:
      return memory_for<ethtool_gstrings>(command, kCount * ETH_GSTRING_LEN, [](auto& request) {
        request.string_set = ETH_SS_STATS;
        request.len = kCount;
      });
    case ETHTOOL_GSSET_INFO:
      return memory_for<ethtool_sset_info>(command, 8, [](auto& request) {
        request.sset_mask = std::uint64_t{1} << ETH_SS_STATS | std::uint64_t{1} << ETH_SS_TEST;
      });
    case ETHTOOL_GREGS:
      return memory_for<ethtool_regs>(command, kCount * 4, [](auto& request) { request.len = kCount * 4; });
    case ETHTOOL_GEEPROM:
    case ETHTOOL_SEEPROM:
      return memory_for<ethtool_eeprom>(command, kCount, [](auto& request) {
        request.offset = 3;
        request.len = kCount;
      });
    case ETHTOOL_GRXCLSRLALL:
      return memory_for<ethtool_rxnfc>(command, kCount * 4, [](auto& request) { request.rule_cnt = kCount; });
    case ETHTOOL_GRSSH:
      return memory_for<ethtool_rxfh>(command, kCount * 4 + 8, [](auto& request) {
        request.indir_size = kCount;
        request.key_size = 8;
      });
    case ETHTOOL_TEST:
      return memory_for<ethtool_test>(command, kCount * 8, [](auto& request) { request.len = kCount; });
    case ETHTOOL_GPERMADDR: return memory_for<ethtool_perm_addr>(command, 6, [](auto& request) { request.size = 6; });
    default: return memory_for<ethtool_value>(command, 1024, [](auto& /*request*/) {});
  }
}

void ask_as_ethtool(std::uint8_t choice) {
  const std::array tables{ethtool::driver_verbs(), ethtool::statistics_verbs(), ethtool::link_verbs(),
                          ethtool::queue_verbs(),  ethtool::feature_verbs(),    ethtool::memory_verbs(),
                          ethtool::rss_verbs(),    ethtool::flow_verbs(),       ethtool::control_verbs()};
  std::vector<ethtool::Verb> verbs;
  for (const auto& table : tables) verbs.insert(verbs.end(), table.begin(), table.end());
  std::erase_if(verbs, [](const ethtool::Verb& verb) { return verb.command == ETHTOOL_PHYS_ID; });  // waits for a user
  const ethtool::Verb& verb = verbs[choice % verbs.size()];
  ethtool::Port port(Program::path(), "plx0");
  auto memory = memory_for(verb.command);
  const int error = verb.answer(port, memory.data());
  require(error >= 0 && error < 4096, "an answer is a number of errno");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  static auto* const program = new Program;  // its thread lives as long as the process
  program->set_answers({reinterpret_cast<const char*>(data) + 1, size - 1});
  data[0] % 8 == 0 ? ask_as_tools() : ask_as_ethtool(data[0]);
  return 0;
}
