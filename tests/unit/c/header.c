/* SPDX-License-Identifier: BSD-3-Clause */
/* The header alone, in strict C: a program that was compiled with it relies on these numbers. */
#include <pollux/pollux.h>

_Static_assert(sizeof(pollux_frame) == 32 && offsetof(pollux_frame, data) == 0 && offsetof(pollux_frame, handle) == 8 &&
                   offsetof(pollux_frame, length) == 16 && offsetof(pollux_frame, flags) == 19 &&
                   offsetof(pollux_frame, headroom) == 20 && offsetof(pollux_frame, capacity) == 24,
               "frames");
_Static_assert(sizeof(pollux_error) == 1024 && offsetof(pollux_error, message) == 4, "errors");
_Static_assert(sizeof(pollux_context_options) == 40 && sizeof(pollux_pool_options) == 32 &&
                   sizeof(pollux_telemetry_options) == 40 && sizeof(pollux_offload) == 32 &&
                   sizeof(pollux_metadata) == 40 && sizeof(pollux_event) == 16,
               "other structs");

/* Used by the tests: what C says of a call. */
const char* name_in_c(pollux_code code);
const char* name_in_c(pollux_code code) { return pollux_code_name(code); }
