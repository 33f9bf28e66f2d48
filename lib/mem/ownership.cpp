// SPDX-License-Identifier: BSD-3-Clause
#include "mem/ownership.hpp"

#include <fmt/format.h>

#include <string>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/mempool_title.hpp"

namespace pollux::ownership {
namespace {

std::string describe(const char* verb, const Site& site) {
  if (*site.file == '\0') return {};
  return fmt::format(", {} at {}:{}", verb, site.file, site.line);
}

std::string describe(Mbuf& mbuf) {
  return fmt::format("mbuf {} of {}", static_cast<const void*>(&mbuf), title_of(MbufAccess::pool(mbuf).options()));
}

}  // namespace

bool mark_free(Mbuf& mbuf, Site site) noexcept {
  const Site earlier = MbufAccess::site(mbuf);
  if (MbufAccess::owner_state(mbuf).exchange(MbufAccess::kFree, std::memory_order_relaxed) == MbufAccess::kFree) {
    MbufAccess::pool(mbuf).context().report(
        {MisuseKind::double_free,
         describe(mbuf) + " was freed twice" + describe("now", site) + describe("last allocated or freed", earlier)});
    return false;
  }
  if (*site.file != '\0') MbufAccess::set_site(mbuf, site);
  return true;
}

bool is_allocated(Mbuf& mbuf, const ContextState* context) noexcept {
  return &MbufAccess::pool(mbuf).context() == context &&
         MbufAccess::owner_state(mbuf).load(std::memory_order_relaxed) == MbufAccess::kAllocated;
}

bool may_send(Mbuf* mbuf, const ContextState& context) noexcept {
  if (mbuf == nullptr) {
    context.report({MisuseKind::null_mbuf, "a null mbuf was passed to tx_burst"});
    return false;
  }
  if (&MbufAccess::pool(*mbuf).context() != &context) {
    context.report({MisuseKind::foreign_mbuf, describe(*mbuf) + " of another Context was passed to tx_burst" +
                                                  describe("allocated", MbufAccess::site(*mbuf))});
    return false;
  }
  if (MbufAccess::owner_state(*mbuf).load(std::memory_order_relaxed) == MbufAccess::kFree) {
    context.report({MisuseKind::use_after_free, describe(*mbuf) + " was passed to tx_burst after it was freed" +
                                                    describe("last allocated or freed", MbufAccess::site(*mbuf))});
    return false;
  }
  return true;
}

}  // namespace pollux::ownership
