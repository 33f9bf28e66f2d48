// SPDX-License-Identifier: BSD-3-Clause
// Executes arbitrary flow rules, well formed or not, on arbitrary frames. No byte beyond a frame or a rule may be read,
// a chain of mbufs must give the same result as one mbuf, and a rule that fits the card must be well formed.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "drivers/intel/igb/flow_filters.hpp"
#include "fuzz/require.hpp"
#include "net/flow/match_fields.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow/software_classifier.hpp"

namespace {

using namespace pollux;

constexpr std::uint16_t kQueues = 4;

/// Takes values from the front of the input; zeros when it has ended.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    const auto part = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(part.size());
    return {part.begin(), part.end()};
  }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return bytes_; }

 private:
  std::span<const std::uint8_t> bytes_;
};

MatchItem item_of(Input& input) {
  MatchItem item{.protocol = static_cast<MatchProtocol>(input.byte() % 9)};
  const std::uint8_t parts = input.byte();
  const std::size_t usual = match_header(item.protocol).bytes;
  const auto part = [&](unsigned bit) {
    if ((parts >> bit & 1) == 0) return std::vector<std::uint8_t>();
    return input.bytes(usual == 0 || (parts & 0x80) != 0 ? input.byte() : usual);
  };
  item.spec = part(0);
  item.mask = part(1);
  item.last = part(2);
  if (usual != 0 && (parts & 0x40) == 0) return item;
  item.relative = (parts & 8) != 0;
  item.search = (parts & 16) != 0;
  item.offset = static_cast<std::int8_t>(input.byte()) * ((parts & 32) != 0 ? 0x100'0000 : 1);
  item.limit = input.byte();
  return item;
}

FlowRule rule_of(Input& input) {
  FlowRule rule;
  const std::uint8_t head = input.byte();
  for (unsigned items = head % 6; items != 0; --items) rule.match.push_back(item_of(input));
  rule.action.kind = static_cast<FlowAction::Kind>(input.byte() % 5);
  rule.action.queue = static_cast<std::uint16_t>(head >> 3 & 7);
  if ((head & 0x40) != 0) rule.action.mark = head;
  if ((head & 0x80) != 0) rule.action.rss.table = {0, 3, input.byte()};
  rule.priority = input.byte();
  return rule;
}

struct Pool {
  Context context{{.huge_pages = HugePages::never}};
  Mempool pool = Mempool::create(context, {.count = 300, .data_room = 2048, .headroom = 0}).value();

  /// The frame in mbufs of `piece` bytes.
  MbufPtr mbuf(std::span<const std::uint8_t> bytes, std::size_t piece) {
    MbufPtr first;
    do {
      const auto now = bytes.first(std::min(piece, bytes.size()));
      MbufPtr mbuf = pool.allocate();
      if (!now.empty()) std::memcpy(mbuf->append(static_cast<std::uint32_t>(now.size())), now.data(), now.size());
      bytes = bytes.subspan(now.size());
      if (first == nullptr) {
        first = std::move(mbuf);
      } else {
        test::require(first->chain(mbuf), "the chain is short");
      }
    } while (!bytes.empty());
    return first;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Pool pool;
  Input input({data, size});
  const std::size_t piece = 1 + input.byte();
  std::vector<FlowRule> rules;
  for (unsigned count = 1 + input.byte() % 3; count != 0; --count) rules.push_back(rule_of(input));
  const auto frame = input.rest().first(std::min<std::size_t>(input.rest().size(), 2000));
  const MbufPtr whole = pool.mbuf(frame, 2048);
  const MbufPtr chained = pool.mbuf(frame, std::max(piece, frame.size() / 200 + 1));

  SoftwareClassifier classifier(kQueues);
  for (const FlowRule& rule : rules) {
    const bool matched = matches(rule, *whole);
    test::require(matched == matches(rule, *chained), "segments do not matter");
    const bool well_formed = check_rule(rule).has_value();
    if (well_formed) static_cast<void>(drivers::igb::fit_filter(rule, {}, "fuzz"));
    test::require(!classifier.add(rule) || well_formed, "the classifier takes only well formed rules");
  }
  const auto decision = classifier.decide(*whole);
  test::require(decision == classifier.decide(*chained), "segments do not matter to the classifier");
  test::require(decision.queue < kQueues, "the classifier has the queue");
  return 0;
}
