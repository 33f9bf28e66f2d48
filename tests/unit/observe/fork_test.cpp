// SPDX-License-Identifier: BSD-3-Clause
// A forked child destroys its copies of everything, as exit() does with global objects. Nothing happens to the parent.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "fixture.hpp"
#include "pollux/observe/capture.hpp"
#include "pollux/open.hpp"
#include "pollux/runtime/poller.hpp"
#include "pollux/runtime/run_loop_threads.hpp"

namespace pollux::test {
namespace {

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// What a program may have as global objects.
struct Everything {
  explicit Everything(const std::string& directory) {
    pool.emplace(need(Mempool::create(context, {.count = 4096})));
    cache.emplace(*pool);
    for (const char* uri : {"sim:0", "sim:1"}) {
      ports.push_back(std::make_unique<Port>(need(open(context, uri, {.rx = {{.pool = *pool}}}))));
    }
    for (const auto& port : ports) need(port->wait_for_link(std::chrono::seconds(10)));
    telemetry.emplace(need(Telemetry::create(context, {.socket = directory + "/socket", .directory = directory})));
    capture = need(Capture::start(*ports[0], {}));
    loops = need(RunLoopThreads::create(context, std::vector<RunLoopThreadOptions>(1)));
    need(loops->start());
    poller.emplace(context);
    need(poller->add(ports[1]->rx(0), [this](Burst<64>& burst) { received += burst.size(); }));
    send();
  }
  void send() {
    Burst<1> burst;
    ASSERT_TRUE(burst.fill(*cache, 1, 60));
    std::memset(burst[0].data(), 0xFF, 60);
    EXPECT_EQ(ports[0]->tx(0).tx_burst(burst), 1U);
  }
  [[nodiscard]] bool receives(std::uint64_t frames) {
    SteadyClock clock;
    return wait_until(clock, "a frame", std::chrono::seconds(20),
                      [&] {
                        static_cast<void>(poller->run_once());
                        return received >= frames;
                      })
        .has_value();
  }

  Context context{{.huge_pages = HugePages::never, .control_thread = true}};
  std::optional<Mempool> pool;
  std::optional<MempoolCache> cache;
  std::vector<std::unique_ptr<Port>> ports;
  std::optional<Telemetry> telemetry;
  std::unique_ptr<Capture> capture;
  std::unique_ptr<RunLoopThreads> loops;
  std::optional<Poller> poller;
  std::uint64_t received = 0;
};

TEST(Fork, AChildMayDestroyWhatItsParentHas) {
  const TemporaryDirectory directory;
  auto everything = std::make_unique<Everything>(directory.path());
  ASSERT_TRUE(everything->receives(1));
  for (int i = 0; i < 20; ++i) {  // each at another moment of the control thread
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      everything.reset();
      ::_exit(0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  EXPECT_TRUE(directory.has("socket"));
  EXPECT_TRUE(directory.has("plx0.lock"));
  everything->send();
  EXPECT_TRUE(everything->receives(2));
  for (const auto& port : everything->ports) {
    EXPECT_TRUE(port->service());
    EXPECT_EQ(port->state(), PortState::started);
    EXPECT_TRUE(port->close());
  }
  EXPECT_TRUE(everything->loops->stop());
}

}  // namespace
}  // namespace pollux::test
