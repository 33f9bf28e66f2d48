// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <typeindex>
#include <vector>

#include "mem/control_scheduler.hpp"
#include "mem/dma_registry.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {

class MempoolCore;

/// The state of a Context. Everything created from a Context keeps its state alive.
class ContextState : public std::enable_shared_from_this<ContextState> {
 public:
  explicit ContextState(ContextOptions options, HugePagePaths paths = {});
  ContextState(const ContextState&) = delete;
  ContextState& operator=(const ContextState&) = delete;
  ~ContextState();

  /// False in a forked child, whose copy must not touch what belongs to the parent, nor wait for a lock that a thread
  /// of the parent held: see leave_to_parent.
  [[nodiscard]] bool is_own() const noexcept { return registry_.arena().is_owner(); }
  [[nodiscard]] Clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] Control& control() noexcept { return control_; }
  [[nodiscard]] ControlScheduler& scheduler() noexcept { return scheduler_; }
  void log(LogLevel level, std::string_view message) const;
  /// With the name of a port in front, unless it is there already, as in the text of an Error.
  void log(LogLevel level, std::string_view name, std::string_view message) const;
  void report(const Misuse& misuse) const;

  [[nodiscard]] Result<DmaMemory> allocate(const DmaRequest& request);
  [[nodiscard]] Result<DmaMemory> register_memory(std::span<std::byte> memory);
  /// Unmaps `segments` from every domain and, if they are the arena's, frees their pages. Called by DmaMemory.
  void release(std::span<const DmaSegment> segments);

  /// The file of all memory with that page size, which an emulator can map as its RAM (offset = IOVA); -1 if there is
  /// none.
  [[nodiscard]] int memory_descriptor(std::size_t page_size) const;
  /// For another process that maps this memory: see DmaRegistry.
  ///@{
  [[nodiscard]] std::optional<FilePlace> place_of(const std::byte* first, std::size_t bytes) const {
    const std::lock_guard lock(mutex_);
    return registry_.place_of(first, bytes);
  }
  void keep_pages() noexcept {
    const std::lock_guard lock(mutex_);
    registry_.keep_pages();
  }
  [[nodiscard]] std::vector<IovaRange> used_iova() const {
    const std::lock_guard lock(mutex_);
    return registry_.used_iova();
  }
  ///@}

  [[nodiscard]] Result<void> attach(std::shared_ptr<DmaDomain> domain);
  void detach(const DmaDomain& domain);

  /// A pool of the program, which is listed as long as somebody uses it.
  void add_pool(const std::shared_ptr<MempoolCore>& pool);
  [[nodiscard]] std::vector<std::shared_ptr<MempoolCore>> pools() const;
  /// A port's index, 0 to Mbuf::kNoPort - 1; Mbuf::kNoPort if all are taken.
  [[nodiscard]] std::uint16_t take_port_index();
  void return_port_index(std::uint16_t index);

  /// Keeps a pool that has no users any more but whose mbufs are still allocated, until `discard_orphan`.
  void adopt(std::unique_ptr<MempoolCore> orphan);
  void discard_orphan(MempoolCore& orphan);
  /// Called by the Context's destructor; this state may live longer. Reports allocated mbufs of the ports' own pools as
  /// leaks (checked builds).
  void retire();
  [[nodiscard]] bool is_retired() const noexcept { return retired_.load(std::memory_order_relaxed); }

  [[nodiscard]] void* service_slot(std::type_index type, std::shared_ptr<void> (*make)());

 private:
  template <class Work>
  auto with_registry(Work work);
  [[nodiscard]] Result<DmaMemory> make_memory(Result<DmaRegion> region);

  ContextOptions options_;
  ControlScheduler scheduler_;
  Control control_{scheduler_};
  mutable std::mutex mutex_;
  DmaRegistry registry_;
  std::vector<std::weak_ptr<MempoolCore>> pools_;
  std::vector<bool> port_indices_;
  std::map<std::type_index, std::shared_ptr<void>> services_;
  std::vector<std::unique_ptr<MempoolCore>> orphans_;
  std::atomic<bool> retired_{false};
};

}  // namespace pollux
