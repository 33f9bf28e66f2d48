# SPDX-License-Identifier: BSD-3-Clause
# Variants of the hot path, each without one part of it, to measure what the part costs or saves (docs/performance-details.md).
# The library's files contain nothing for this. A variant has copies of the files that the part concerns, with one
# expression replaced. Included, this file defines the list of replacements. Run as a script, it writes one copy:
#
#     cmake -DPART=checks -DFILE=queue/rx_burst.hpp -DFROM=lib/drivers/intel -DTO=FOLDER -P ablation.cmake

# Calls `change(PART FILE TEXT REPLACEMENT)` for each replacement. TEXT must occur in FILE exactly once.
macro(pollux_for_each_ablation change)
  # The comparison of length, status bits, pool and `special`: replaced by the assumption that every frame is on the fast path.
  cmake_language(CALL ${change} checks queue/rx_burst.hpp "excess > fast_path.max_excess" "!hw::intel::rx::done(status)")
  cmake_language(CALL ${change} checks queue/rx_burst.hpp "excess > ring.fast_path.max_excess" "!hw::intel::rx::done(status)")
  cmake_language(CALL ${change} checks queue/rx_burst_avx2.cpp "if (!avx2::all_within(" "if (false && !avx2::all_within(")
  cmake_language(CALL ${change} checks queue/rx_burst_avx512.cpp "if (_mm512_cmpgt_epu32_mask(" "if (false && _mm512_cmpgt_epu32_mask(")
  cmake_language(CALL ${change} checks queue/tx_burst.hpp "if (excess > " "if (false && excess > ")
  cmake_language(CALL ${change} checks queue/tx_burst_avx2.cpp "if (!avx2::all_within(" "if (false && !avx2::all_within(")
  cmake_language(CALL ${change} checks queue/tx_burst_avx512.cpp "if (_mm512_cmpgt_epu32_mask(" "if (false && _mm512_cmpgt_epu32_mask(")
  # The two words of the write-back in the mbuf, from which the metadata is decoded.
  cmake_language(CALL ${change} raw_words queue/rx_burst.hpp
    "MbufAccess::rx_low(received) = __atomic_load_n(&descriptor.lo, __ATOMIC_RELAXED);" "")
  cmake_language(CALL ${change} raw_words queue/rx_burst.hpp "MbufAccess::rx_high(received) = status;" "")
  # The prefetch of frames that are expected soon.
  cmake_language(CALL ${change} prefetch queue/rx_burst.hpp "__builtin_prefetch(reinterpret_cast" "if (false) __builtin_prefetch(reinterpret_cast")
  cmake_language(CALL ${change} prefetch queue/rx_burst.hpp "__builtin_prefetch(slot_mbuf" "if (false) __builtin_prefetch(slot_mbuf")
  # What single frames have of it: their mbufs' headers, and frames beyond the end of the ring.
  cmake_language(CALL ${change} prefetched_headers queue/rx_burst.hpp "__builtin_prefetch(slot_mbuf" "if (false) __builtin_prefetch(slot_mbuf")
  cmake_language(CALL ${change} prefetch_beyond_the_end queue/rx_burst.hpp "if (slot == RxRing::kGroup - 1)" "if (false)")
  # One doorbell per group: replaced by one per burst.
  cmake_language(CALL ${change} doorbell_groups queue/rx_burst.hpp "if ((after & ring.group_mask) != 0) return true;" "")
  cmake_language(CALL ${change} doorbell_groups queue/rx_burst.hpp "if ((slot ^ after) <= ring.group_mask) return;" "")
  # The path for exactly one frame.
  cmake_language(CALL ${change} burst_of_one queue/rx_burst.hpp "if (rx_burst_one<" "if (false && rx_burst_one<")
  cmake_language(CALL ${change} burst_of_one queue/tx_burst.hpp "if (count == 1 && " "if (false && count == 1 && ")
  # Stats::rx_burst_packets and tx_burst_packets.
  cmake_language(CALL ${change} packet_count queue/rx_burst.hpp "add_to(ring.packets_, packets)"
    "static_cast<void>(ring), static_cast<void>(packets)")
  cmake_language(CALL ${change} packet_count queue/tx_burst.hpp "add_to(ring.packets_, frames)" "static_cast<void>(frames)")
  # Groups of fast-path mbufs return to the cache as pointers: replaced by a look at each mbuf.
  cmake_language(CALL ${change} recycling queue/tx_burst.hpp "if (ownership::kChecked || ring.contents[group] != TxRing::kDirect)"
    "if (true || ring.contents[group] != TxRing::kDirect)")
endmacro()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  cmake_minimum_required(VERSION 3.18)
  file(READ ${FROM}/${FILE} text)
  function(change_text part file before after)
    if(NOT "${part} ${file}" STREQUAL "${PART} ${FILE}")
      return()
    endif()
    string(FIND "${text}" "${before}" first)
    string(FIND "${text}" "${before}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
      message(FATAL_ERROR "bench/ablation.cmake, part ${PART}: \"${before}\" does not occur exactly once in ${FILE}; "
        "adapt the replacement to the change of that file")
    endif()
    string(REPLACE "${before}" "${after}" text "${text}")
    set(text "${text}" PARENT_SCOPE)
  endfunction()
  pollux_for_each_ablation(change_text)
  file(WRITE ${TO}/${FILE} "${text}")
endif()
