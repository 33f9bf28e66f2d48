// SPDX-License-Identifier: BSD-3-Clause
#include "unit/mem/mbuf_model.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

using test::ModelBuffer;
using test::ModelFrame;

constexpr int kSteps = 300'000;
constexpr std::size_t kMaxFrames = 48;
constexpr std::size_t kMaxSegmentsOfAll = 1500;

/// External memory, and how often it was attached and freed.
struct External {
  std::size_t offset = 0;
  std::uint8_t* data = nullptr;
  bool lent = false;
  int attached = 0;
  int freed = 0;
  bool wrong_data = false;

  static void came_back(void* opaque, std::uint8_t* data) noexcept {
    auto& self = *static_cast<External*>(opaque);
    ++self.freed;
    self.wrong_data = self.wrong_data || data != self.data || !self.lent;
    self.lent = false;
  }
};

/// Runs random operations on mbufs and on their models.
class ModelChecker {
 public:
  explicit ModelChecker(std::uint32_t seed) : random_(seed) {
    for (std::size_t i = 0; i < externals_.size(); ++i) {
      externals_[i].offset = i * kExternalRoom;
      externals_[i].data = reinterpret_cast<std::uint8_t*>(memory_->segments()[0].address) + externals_[i].offset;
    }
  }

  /// Runs one operation. Returns the difference from the model, if any.
  [[nodiscard]] std::optional<std::string> step() {
    if (frames_.empty() || (frames_.size() < kMaxFrames && below(8) == 0)) return allocate();
    Pair& pair = frames_[below(frames_.size())];
    if (segments() > kMaxSegmentsOfAll) return free(pair);
    std::optional<std::string> wrong = operate(pair, below(13));
    return wrong;
  }

  [[nodiscard]] std::optional<std::string> check_all() {
    for (Pair& pair : frames_) {
      if (auto wrong = difference(*pair.mbuf, pair.model)) return wrong;
    }
    return {};
  }

  /// Frees everything in random order. Returns an error if an mbuf is not free then.
  [[nodiscard]] std::optional<std::string> finish() {
    while (!frames_.empty()) static_cast<void>(free(frames_[below(frames_.size())]));
    for (const Mempool* pool : {&small_, &large_}) {
      if (pool->stats().in_use() != 0) return fmt::format("{} mbufs are not free", pool->stats().in_use());
    }
    for (const External& external : externals_) {
      if (external.attached != external.freed)
        return fmt::format("{} attached, {} freed", external.attached, external.freed);
      if (external.wrong_data) return "a callback with other data, or twice";
    }
    return {};
  }
  [[nodiscard]] int externals_used() const {
    int sum = 0;
    for (const External& external : externals_) sum += external.attached;
    return sum;
  }

 private:
  static constexpr std::size_t kExternalRoom = 8192;
  struct Pair {
    MbufPtr mbuf;
    ModelFrame model;
  };

  [[nodiscard]] std::size_t below(std::size_t limit) { return random_() % limit; }
  /// Mostly small values, sometimes too large ones.
  [[nodiscard]] std::uint32_t some_bytes() {
    return static_cast<std::uint32_t>(below(4) == 0 ? below(3000) : below(64));
  }
  [[nodiscard]] std::vector<std::uint8_t> random_bytes(std::size_t count) {
    std::vector<std::uint8_t> bytes(count);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_());
    return bytes;
  }
  [[nodiscard]] MempoolCache& some_cache() { return below(2) == 0 ? small_cache_ : large_cache_; }
  [[nodiscard]] std::size_t segments() const {
    std::size_t sum = 0;
    for (const Pair& pair : frames_) sum += pair.model.segments.size();
    return sum;
  }

  std::optional<std::string> allocate() {
    Mempool& pool = below(2) == 0 ? small_ : large_;
    MempoolCache& cache = &pool == &small_ ? small_cache_ : large_cache_;
    Pair pair{.mbuf = below(3) == 0 ? pool.allocate() : cache.allocate(), .model = {}};
    if (pair.mbuf == nullptr) return "allocation failed";
    auto buffer = std::make_shared<ModelBuffer>();
    buffer->bytes.resize(pair.mbuf->capacity());
    pair.model.segments.push_back({.buffer = std::move(buffer), .offset = pool.options().headroom});
    return adopt(std::move(pair));
  }

  std::optional<std::string> adopt(Pair pair) {
    frames_.push_back(std::move(pair));
    return difference(*frames_.back().mbuf, frames_.back().model);
  }

  std::optional<std::string> operate(Pair& pair, std::size_t operation) {
    switch (operation) {
      case 0: return free(pair);
      case 1: return reserve(pair);
      case 2:
      case 3: return append(pair);
      case 4: return prepend(pair);
      case 5: return strip(pair);
      case 6: return trim(pair);
      case 7: return chain(pair);
      case 8: return copy_out(pair);
      case 9: return clone(pair);
      case 10: return attach(pair);
      case 11: return offload(pair);
      default: return stamp(pair);
    }
  }

  std::optional<std::string> free(Pair& pair) {
    std::swap(pair, frames_.back());
    MbufPtr mbuf = std::move(frames_.back().mbuf);
    frames_.pop_back();
    switch (below(3)) {
      case 0: mbuf.reset(); break;
      case 1: some_cache().free(std::move(mbuf)); break;
      default:
        Burst<1> burst;
        if (!burst.push(mbuf)) return "a burst refused an mbuf";
        burst.drop(dropped_);
    }
    return {};
  }

  /// Checks that both returned the same and are in the same state.
  static std::optional<std::string> agree(Pair& pair, bool done, bool expected) {
    if (done != expected) return done ? "done, though it may not be" : "refused";
    return difference(*pair.mbuf, pair.model);
  }

  std::optional<std::string> reserve(Pair& pair) {
    const std::uint32_t bytes = some_bytes();
    return agree(pair, pair.mbuf->reserve(bytes), pair.model.reserve(bytes));
  }

  std::optional<std::string> append(Pair& pair) {
    const auto bytes = random_bytes(some_bytes());
    std::uint8_t* const place = pair.mbuf->append(static_cast<std::uint32_t>(bytes.size()));
    if (place != nullptr) std::copy(bytes.begin(), bytes.end(), place);
    return agree(pair, place != nullptr, pair.model.append(bytes));
  }

  std::optional<std::string> prepend(Pair& pair) {
    const auto bytes = random_bytes(some_bytes());
    std::uint8_t* const place = pair.mbuf->prepend(static_cast<std::uint32_t>(bytes.size()));
    if (place != nullptr) std::copy(bytes.begin(), bytes.end(), place);
    return agree(pair, place != nullptr, pair.model.prepend(bytes));
  }

  std::optional<std::string> strip(Pair& pair) {
    const std::uint32_t bytes = some_bytes();
    std::uint8_t* const start = pair.mbuf->strip(bytes);
    if (start != nullptr && start != pair.mbuf->data()) return "strip returned another address";
    return agree(pair, start != nullptr, pair.model.strip(bytes));
  }

  std::optional<std::string> trim(Pair& pair) {
    const std::uint32_t bytes = some_bytes();
    return agree(pair, pair.mbuf->trim(bytes), pair.model.trim(bytes));
  }

  std::optional<std::string> chain(Pair& pair) {
    Pair& more = frames_[below(frames_.size())];
    if (&more == &pair) return {};
    const bool done = pair.mbuf->chain(more.mbuf);
    if (done != (more.mbuf == nullptr)) return "chain must empty its argument if and only if it succeeds";
    const bool expected = pair.model.chain(std::move(more.model));
    const auto wrong = agree(pair, done, expected);
    if (done) {
      std::swap(more, frames_.back());
      frames_.pop_back();
    }
    return wrong;
  }

  std::optional<std::string> copy_out(Pair& pair) {
    const auto all = pair.model.contents();
    const std::size_t offset = below(all.size() + 3);
    std::vector<std::uint8_t> out(below(all.size() + 3));
    const std::size_t expected = std::min(out.size(), all.size() - std::min(offset, all.size()));
    const std::size_t copied = pair.mbuf->copy_out(offset, out);
    if (copied != expected) return fmt::format("copied {} bytes, expected {}", copied, expected);
    const auto start = all.begin() + static_cast<std::ptrdiff_t>(std::min(offset, all.size()));
    if (!std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(copied), start)) return "copied other bytes";
    return {};
  }

  std::optional<std::string> clone(Pair& pair) {
    MbufPtr copy = pair.mbuf->clone(some_cache());
    if (copy == nullptr) return "clone failed";
    ModelFrame model = pair.model.clone();
    if (auto wrong = difference(*pair.mbuf, pair.model)) return wrong;
    return adopt({.mbuf = std::move(copy), .model = std::move(model)});
  }

  std::optional<std::string> attach(Pair& pair) {
    External& external = externals_[below(externals_.size())];
    if (external.lent) return {};
    const std::size_t length = 1 + below(kExternalRoom);
    const auto bytes = random_bytes(length);
    std::copy(bytes.begin(), bytes.end(), external.data);
    const bool done = pair.mbuf->attach_external(*memory_, external.offset, length, &External::came_back, &external);
    const bool expected = pair.model.can_attach();
    if (expected) {
      auto buffer = std::make_shared<ModelBuffer>();
      buffer->bytes = bytes;
      pair.model.segments[0] = {.buffer = std::move(buffer), .length = length, .plain = false};
    }
    external.lent = done;
    external.attached += done ? 1 : 0;
    return agree(pair, done, expected);
  }

  std::optional<std::string> offload(Pair& pair) {
    TxOffload wanted;
    if (below(2) == 0) {
      // Mostly valid header lengths, sometimes invalid ones.
      const std::size_t longest = below(4) == 0 ? 65536 : 41;
      const bool in_tunnel = below(2) == 0;
      wanted = {.flags = static_cast<std::uint32_t>(1 + below(2047)),
                .vlan = static_cast<std::uint16_t>(random_()),
                .outer_vlan = static_cast<std::uint16_t>(random_()),
                .l2 = static_cast<std::uint16_t>(below(longest)),
                .l3 = static_cast<std::uint16_t>(below(longest)),
                .outer_l2 = static_cast<std::uint16_t>(in_tunnel ? below(longest) : 0),
                .outer_l3 = static_cast<std::uint16_t>(in_tunnel ? below(longest) : 0),
                .l4 = static_cast<std::uint16_t>(random_()),
                .segment_size = static_cast<std::uint16_t>(random_())};
    }
    pair.mbuf->set_tx_offload(wanted);
    pair.model.offload = wanted;
    pair.model.forget_unused_lengths();
    return difference(*pair.mbuf, pair.model);
  }

  std::optional<std::string> stamp(Pair& pair) {
    pair.model.timestamp = 1 + random_();
    pair.mbuf->set_timestamp(pair.model.timestamp);
    return difference(*pair.mbuf, pair.model);
  }

  std::mt19937 random_;
  test::PoolFixture fixture_;
  Result<DmaMemory> memory_ = fixture_.context().allocate({.size = 16 * kExternalRoom});
  Mempool small_ = fixture_.pool({.count = 3000, .data_room = 256, .headroom = 64});
  Mempool large_ = fixture_.pool({.count = 3000, .data_room = 2048, .ip_align = false});
  MempoolCache small_cache_{small_, 128};
  MempoolCache large_cache_{large_};
  std::array<External, 16> externals_;
  DropCounter dropped_{"dropped"};
  std::vector<Pair> frames_;
};

TEST(MbufModel, RandomOperationsAgreeWithTheModel) {
  constexpr std::uint32_t kSeed = 20261120;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  ModelChecker checker(kSeed);
  for (int operation = 0; operation < kSteps; ++operation) {
    const auto wrong = checker.step();
    ASSERT_EQ(wrong, std::nullopt) << "operation " << operation << ": " << *wrong;
    if (operation % 512 != 0) continue;
    const auto other = checker.check_all();
    ASSERT_EQ(other, std::nullopt) << "after operation " << operation << ", another frame: " << *other;
  }
  EXPECT_GT(checker.externals_used(), 1000);
  const auto left = checker.finish();
  EXPECT_EQ(left, std::nullopt) << *left;
}

}  // namespace
}  // namespace pollux
