/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POLLUX_POLLUX_H
#define POLLUX_POLLUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Pollux for C11, and for every language that can call C: libpollux-c.so.1, whose calls and structs stay as they are
 * (docs/promises.md). It has the components core, laboratory, dataplane and observe.
 *
 *     pollux_error error;
 *     pollux_context *context = pollux_context_open(NULL, &error);
 *     pollux_port *port = pollux_port_open(context, "vfio:0000:01:00.0", NULL, &error);
 *     if (port == NULL) fprintf(stderr, "%s\n", error.message);
 *     pollux_rx *rx = pollux_port_rx(port, 0);
 *     pollux_tx *tx = pollux_port_tx(port, 0);
 *     pollux_frame frames[32];
 *     for (;;) {
 *       uint32_t count = pollux_rx_burst(rx, frames, 32);
 *       ...                                                     frames[i].data, frames[i].length
 *       uint32_t sent = pollux_tx_burst(tx, frames, count);     takes what fits
 *       pollux_free(NULL, frames + sent, count - sent);
 *     }
 *
 * Errors: a call that can fail has a `pollux_error *` as its last parameter, which may be NULL. It writes the code and
 * a message that says what failed and how to fix it; a call that succeeds writes POLLUX_OK and an empty message.
 * Running out of memory is an error like any other, but where JSON is read or written (docs/security.md). No call
 * prints, exits, raises a signal or passes a C++ exception on; callbacks must not throw. NULL for an object is
 * POLLUX_INVALID_ARGUMENT where a call has an error; elsewhere it is undefined, as in the C library, but for the calls
 * that close and free.
 *
 * Structs of options begin with their size: `{.size = sizeof(pollux_pool_options), .count = 4096}`. Members that are
 * left out are 0, which stands for the default. Later versions add members at the end, so a program that was compiled
 * with this header runs with them, too. Enumerations only grow: expect values that this header does not name.
 *
 * Texts are UTF-8. A `char *` that a call returns is the caller's, who frees it with pollux_text_free.
 *
 * Thread rules: a queue, a pool and a poller belong to one thread at a time, as do the frames that a thread has. All
 * other calls may come from any thread. fork(2): a child must not use what its parent opened.
 *
 * Own drivers and in-process cards are written in C++.
 */

#define POLLUX_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

/* The kinds of failure; docs/errors.md has the cause of each, and what fixes it. */
typedef int32_t pollux_code;
enum {
  POLLUX_OK = 0,
  POLLUX_INVALID_ARGUMENT = 1,
  POLLUX_BAD_STATE = 2,
  POLLUX_NOT_FOUND = 3,
  POLLUX_NOT_SUPPORTED = 4,
  POLLUX_PERMISSION_DENIED = 5,
  POLLUX_BUSY = 6,
  POLLUX_NO_MEMORY = 7,
  POLLUX_TIMEOUT = 8,
  POLLUX_IO_ERROR = 9,
  POLLUX_DEVICE_REMOVED = 10,
  POLLUX_DEVICE_FAULT = 11,
  POLLUX_NO_IOMMU = 12,
  POLLUX_MODULE_NOT_LOADED = 13,
  POLLUX_NOT_BOUND = 14,
  POLLUX_GROUP_NOT_VIABLE = 15,
  POLLUX_GROUP_IN_USE = 16,
  POLLUX_MEMLOCK_TOO_SMALL = 17,
  POLLUX_MAPPING_LIMIT = 18,
  POLLUX_IN_USE_BY_HOST = 19
};

typedef struct pollux_error {
  pollux_code code;
  char message[1020]; /* "what failed: how to fix it", in one line; a longer one ends with "..." */
} pollux_error;

/* "no_iommu" for POLLUX_NO_IOMMU; "unknown" for a number that is no code. */
POLLUX_C_API const char* pollux_code_name(pollux_code code);
/* The version of the library, such as "0.9.0". */
POLLUX_C_API const char* pollux_version(void);
/* Frees what a call has returned; NULL is ignored. */
POLLUX_C_API void pollux_text_free(char* text);

/* ---- The context ----------------------------------------------------------------------------------------------- */

/* Owns what would otherwise be global: clock, log, memory for frames and rings, the wires between in-process cards. */
typedef struct pollux_context pollux_context;

typedef int32_t pollux_log_level;
enum { POLLUX_LOG_DEBUG = 0, POLLUX_LOG_INFO = 1, POLLUX_LOG_WARNING = 2, POLLUX_LOG_ERROR = 3 };
/* Receives the library's messages, from any thread, but never from a burst. It must not call a port. */
typedef void pollux_log_callback(void* user, pollux_log_level level, const char* message);

/* Of pollux_context_options.flags. */
enum {
  POLLUX_CONTROL_THREAD = 1,     /* a thread of the library calls pollux_context_run_due */
  POLLUX_VIRTUAL_TIME = 2,       /* time passes in pollux_context_sleep and in calls that wait: for tests with sim: */
  POLLUX_HUGE_PAGES_REQUIRE = 4, /* memory is of huge pages, or there is none */
  POLLUX_HUGE_PAGES_NEVER = 8    /* memory is of ordinary pages; the default prefers huge ones */
};
typedef struct pollux_context_options {
  size_t size;
  pollux_log_callback* log; /* NULL: messages are dropped */
  void* user;               /* passed to `log` */
  uint64_t arena_bytes;     /* address space to reserve for memory of frames and rings; 0: 64 GiB. Takes no memory */
  uint32_t flags;
} pollux_context_options;

/* `options` may be NULL. NULL: the error says why. */
POLLUX_C_API pollux_context* pollux_context_open(const pollux_context_options* options, pollux_error* error);
/* Ports, pools and all else that was opened with it keep what they need of it; so `log` may be called until the last of
 * them is closed. NULL is ignored. */
POLLUX_C_API void pollux_context_close(pollux_context* context);

/* Nanoseconds of the context's clock, whose start is arbitrary; of virtual time with POLLUX_VIRTUAL_TIME. */
POLLUX_C_API uint64_t pollux_context_now(const pollux_context* context);
/* Sleeps; in virtual time, lets it pass, in which in-process cards and wires do their work. */
POLLUX_C_API void pollux_context_sleep(pollux_context* context, uint64_t nanoseconds);

/* Does what is due: statistics of cards, events, telemetry. Call it again when *next has come, on the context's clock;
 * at most a second later while a port is open, UINT64_MAX while none is. `next` may be NULL. A failure of a port is
 * returned once; call again at once for the others. */
POLLUX_C_API pollux_code pollux_context_run_due(pollux_context* context, uint64_t* next, pollux_error* error);
/* A descriptor for an event loop: readable while pollux_context_run_due has work. The context's: do not read or close
 * it. -1: the process has no descriptor left. */
POLLUX_C_API int pollux_context_event_fd(pollux_context* context);

/* ---- Ports ----------------------------------------------------------------------------------------------------- */

typedef struct pollux_port pollux_port;
typedef struct pollux_rx pollux_rx; /* a receive queue of a port */
typedef struct pollux_tx pollux_tx; /* a transmit queue of a port */

/* Opens the port that `uri` names and starts it: "vfio:0000:01:00.0", "xdp:eth0", "tap:NAME", "sim:0" and others
 * (docs/ports.md). `settings`: a JSON object of the settings that differ from the defaults, as in docs/telemetry.md:
 * {"mtu":9000,"rx":[{"ring":1024},{}]}; NULL for none. What the URI says (?set.mtu=9000) holds over them. NULL: the
 * error says why. */
POLLUX_C_API pollux_port* pollux_port_open(pollux_context* context, const char* uri, const char* settings,
                                           pollux_error* error);
/* Stops the port and releases its device. Its queues do not exist after that; frames that the program has stay valid.
 * The object is gone, also after an error, which says what could not be released properly. No thread may be in a burst
 * of its queues. NULL is ignored. */
POLLUX_C_API pollux_code pollux_port_close(pollux_port* port, pollux_error* error);

/* NULL if the port has no such queue. Valid until the port is closed; while it is stopped, bursts are empty. */
POLLUX_C_API pollux_rx* pollux_port_rx(pollux_port* port, uint16_t index);
POLLUX_C_API pollux_tx* pollux_port_tx(pollux_port* port, uint16_t index);

/* Waits until the link is up. POLLUX_TIMEOUT: the message says what to check. */
POLLUX_C_API pollux_code pollux_port_wait_for_link(pollux_port* port, uint64_t nanoseconds, pollux_error* error);

/* All that the program has asked of the port, as a JSON object. NULL: the error says why. */
POLLUX_C_API char* pollux_port_settings(pollux_port* port, pollux_error* error);
/* Changes settings, all of `patch` or none: a merge patch (RFC 7396) of what pollux_port_settings returns, such as
 * {"mtu":9000,"vlans":{"7":true,"8":null}}. The error names the rule. */
POLLUX_C_API pollux_code pollux_port_change(pollux_port* port, const char* patch, pollux_error* error);

/* Everything else that a program can ask and do is a method of the telemetry: docs/telemetry.md lists them. With a
 * port, those of a port, without their parameter `port`: "port.stats", "port.info", "port.stop", "port.link". With
 * NULL, those of the context: "ports", "pools", "methods". `params` is a JSON object, or NULL. Returns the result as
 * JSON; NULL: the error says why. Captures are made by another program: `pollux capture`. */
POLLUX_C_API char* pollux_request(pollux_context* context, pollux_port* port, const char* method, const char* params,
                                  pollux_error* error);

/* What a pollux_event tells of. */
enum {
  POLLUX_LINK_UP = 0,
  POLLUX_LINK_DOWN = 1,
  POLLUX_REMOVED = 2,    /* the device is gone, and the port has failed */
  POLLUX_FAILED = 3,     /* the device does not work any more, and the port has failed */
  POLLUX_TX_TIMEOUT = 4, /* a transmit queue sent nothing; the port was reset */
  POLLUX_RX_TIMEOUT = 5  /* a receive queue takes none of the frames that arrive */
};
typedef struct pollux_event {
  int32_t kind;
  uint16_t queue;   /* of timeouts */
  const char* text; /* "link up, 1000 Mb/s, full duplex"; valid during the callback */
} pollux_event;
typedef void pollux_event_callback(void* user, const pollux_event* event);
/* Calls `callback` with each event of the port, on the thread that notices it, mostly in pollux_context_run_due; NULL
 * ends that, and waits until a call of the old one has returned. It may call ports, but not close this one. */
POLLUX_C_API void pollux_port_on_event(pollux_port* port, pollux_event_callback* callback, void* user);

/* ---- Frames ---------------------------------------------------------------------------------------------------- */

/* Of pollux_frame.flags. */
enum {
  POLLUX_FRAME_SHARED = 17,  /* either bit: another frame has the same bytes: do not write them */
  POLLUX_FRAME_SEGMENTED = 2 /* it goes on in further buffers: pollux_frame_next */
};
/* A frame, or a part of one that has several buffers. `data` and what is there may be written, unless another frame
 * shares it; the members are written by calls alone. A frame has one owner: what a burst stores, or pollux_alloc, is
 * the program's, until it gives it to a burst or frees it. A descriptor may be copied; then only one copy may be used.
 * Checked builds of the library report a frame that is used after it was given away. */
typedef struct pollux_frame {
  uint8_t* data;
  void* handle;    /* the buffer */
  uint16_t length; /* bytes at `data` */
  uint8_t reserved;
  uint8_t flags;
  uint16_t headroom; /* bytes before `data` */
  uint16_t origin;   /* reserved for the library; see pollux_metadata.port */
  uint32_t capacity; /* bytes of the buffer with its headroom, rounded down to 256; of a shared frame it says nothing */
  uint32_t unused;   /* for bindings: the library neither reads nor writes it */
} pollux_frame;

/* Bytes of the whole frame, all of its buffers together. */
POLLUX_C_API uint32_t pollux_frame_bytes(const pollux_frame* frame);
/* Stores the next buffer of `frame` in `next`, which may be the same object. False: there is none. It stays owned by
 * the frame. */
POLLUX_C_API bool pollux_frame_next(const pollux_frame* frame, pollux_frame* next);
/* Copies bytes of the frame from `offset` on; returns how many, at most `bytes`. */
POLLUX_C_API size_t pollux_frame_copy(const pollux_frame* frame, size_t offset, void* to, size_t bytes);
/* Grow the frame at its end or front, and return the first of the new bytes. NULL, with nothing changed: there is no
 * room, or others share the bytes. */
POLLUX_C_API uint8_t* pollux_frame_append(pollux_frame* frame, uint32_t bytes);
POLLUX_C_API uint8_t* pollux_frame_prepend(pollux_frame* frame, uint32_t bytes);
/* Remove bytes of the first buffer's front or of the last buffer's end. False, with nothing changed: it has fewer. */
POLLUX_C_API bool pollux_frame_strip(pollux_frame* frame, uint32_t bytes);
POLLUX_C_API bool pollux_frame_trim(pollux_frame* frame, uint32_t bytes);

/* Appends the buffers of `more`, which is consumed, to those of `frame`. False, with nothing changed: together they
 * would have more than 255. */
POLLUX_C_API bool pollux_frame_chain(pollux_frame* frame, const pollux_frame* more);

/* Of pollux_metadata.flags. */
enum {
  POLLUX_HAS_RSS_HASH = 1,
  POLLUX_HAS_VLAN = 2,      /* the card has stripped a tag */
  POLLUX_VLAN_IS_INNER = 4, /* it was behind an outer one, which the frame still has */
  POLLUX_BAD_FRAME = 8,     /* the card reports an error in it; only with the setting keep_bad_frames */
  POLLUX_STAMPED = 16       /* the card noted when it came */
};
/* Of pollux_metadata.packet_type. */
enum {
  POLLUX_IPV4 = 1,
  POLLUX_IPV4_OPTIONS = 2,
  POLLUX_IPV6 = 4,
  POLLUX_IPV6_EXTENSIONS = 8,
  POLLUX_TCP = 16,
  POLLUX_UDP = 32,
  POLLUX_SCTP = 64
};
/* Of pollux_metadata.ip_checksum and l4_checksum. Partial: the frame comes from software that has not computed it. */
enum { POLLUX_CHECKSUM_UNKNOWN = 0, POLLUX_CHECKSUM_GOOD = 1, POLLUX_CHECKSUM_BAD = 2, POLLUX_CHECKSUM_PARTIAL = 3 };
/* What a port says of a received frame. */
typedef struct pollux_metadata {
  size_t size; /* set by the caller */
  uint32_t flags;
  uint32_t packet_type;
  uint32_t rss_hash;
  uint16_t vlan; /* tag control information */
  uint16_t port; /* the index of the port that received it ("port.info"); 4095: software made the frame */
  uint8_t ip_checksum;
  uint8_t l4_checksum;
  uint8_t reserved[6];
  uint64_t timestamp; /* nanoseconds of the card's clock; 0: none */
} pollux_metadata;
/* Fills `metadata` as far as its size says. */
POLLUX_C_API void pollux_frame_metadata(const pollux_frame* frame, pollux_metadata* metadata);

/* Requests, of pollux_offload.flags; what a port can do is in its "port.offloads". */
enum {
  POLLUX_OFFLOAD_IPV4_CHECKSUM = 1,
  POLLUX_OFFLOAD_TCP_CHECKSUM = 2,
  POLLUX_OFFLOAD_UDP_CHECKSUM = 4,
  POLLUX_OFFLOAD_SCTP_CHECKSUM = 8,
  POLLUX_OFFLOAD_TCP_SEGMENTATION = 16,
  POLLUX_OFFLOAD_INSERT_VLAN = 32,
  POLLUX_OFFLOAD_TIMESTAMP = 64,
  POLLUX_OFFLOAD_UDP_SEGMENTATION = 128,
  POLLUX_OFFLOAD_INSERT_OUTER_VLAN = 256,
  POLLUX_OFFLOAD_OUTER_IPV4_CHECKSUM = 512,
  POLLUX_OFFLOAD_OUTER_UDP_CHECKSUM = 1024,
  POLLUX_OFFLOAD_WITHOUT_FCS = 2048
};
/* What the port that sends a frame is asked to do with it. Lengths are those of consecutive headers:
 * outer_l2 | outer_l3 | l2 (in a tunnel, with its own header) | l3 | l4 | payload. */
typedef struct pollux_offload {
  size_t size;
  uint32_t flags;
  uint16_t vlan; /* tag control information */
  uint16_t outer_vlan;
  uint16_t l2;
  uint16_t l3;
  uint16_t outer_l2;
  uint16_t outer_l3;
  uint16_t l4;
  uint16_t segment_size;
} pollux_offload;
/* Sets the request of a frame; flags of 0 ask for nothing. The sums of pseudo-headers must be in the checksum fields
 * (pollux_frame_request_checksums writes them). A port drops a frame whose request it cannot do, and counts it. */
POLLUX_C_API void pollux_frame_set_offload(pollux_frame* frame, const pollux_offload* offload);
/* Requests checksums and writes what they need; works on every port, since it computes what a card cannot. False, with
 * nothing changed: the request does not fit the frame. */
POLLUX_C_API bool pollux_frame_request_checksums(pollux_frame* frame, const pollux_offload* offload);

/* ---- Pools: frames to send, and the end of frames -------------------------------------------------------------- */

/* Where frames come from. A handle has a cache of its own, of one thread. */
typedef struct pollux_pool pollux_pool;

typedef struct pollux_pool_options {
  size_t size;
  const char* name;   /* for messages and "pools"; NULL: "mempool" */
  uint32_t count;     /* frames; 0: 8192 */
  uint32_t data_room; /* bytes of each after the headroom; 0: 2048 */
  uint32_t headroom;  /* bytes before a frame; UINT32_MAX: none; 0: 128 */
} pollux_pool_options;
POLLUX_C_API pollux_pool* pollux_pool_open(pollux_context* context, const pollux_pool_options* options,
                                           pollux_error* error);
/* A handle on the pool of a receive queue: a program that forwards uses one for its queues (pollux_rx_use_pool,
 * pollux_tx_use_pool), so that buffers that were sent serve for what comes next. */
POLLUX_C_API pollux_pool* pollux_pool_of_port(pollux_port* port, uint16_t queue, pollux_error* error);
/* The frames stay valid, and their memory goes with the last of them. NULL is ignored. */
POLLUX_C_API void pollux_pool_close(pollux_pool* pool);

/* Stores `count` frames of `bytes` bytes, whose content is left over from earlier use. False, with nothing allocated:
 * the pool is exhausted, which it counts, or a frame has not that much room. */
POLLUX_C_API bool pollux_alloc(pollux_pool* pool, pollux_frame* frames, uint32_t count, uint32_t bytes);
/* A second frame with the same bytes, to send it twice; they may not be written any more. Its header is from `pool`.
 * False: the pool is exhausted. */
POLLUX_C_API bool pollux_frame_clone(pollux_frame* frame, pollux_pool* pool, pollux_frame* clone);
/* Frees frames that the program has consumed. `pool` is the handle of the calling thread, or NULL, which is slower. */
POLLUX_C_API void pollux_free(pollux_pool* pool, pollux_frame* frames, uint32_t count);

/* A named reason for which the program drops frames. Captures show the frames with it. One thread at a time counts. */
typedef struct pollux_drop_counter pollux_drop_counter;
/* It lives as long as the context. A name that exists already is the same counter. */
POLLUX_C_API pollux_drop_counter* pollux_drop_counter_open(pollux_context* context, const char* name,
                                                           pollux_error* error);
/* Frees frames and counts them. */
POLLUX_C_API void pollux_drop(pollux_drop_counter* counter, pollux_pool* pool, pollux_frame* frames, uint32_t count);
POLLUX_C_API uint64_t pollux_drop_count(const pollux_drop_counter* counter);

/* ---- Queues ---------------------------------------------------------------------------------------------------- */

/* Stores at most `count` received frames, in order, and returns their number. Never waits. */
POLLUX_C_API uint32_t pollux_rx_burst(pollux_rx* rx, pollux_frame* frames, uint32_t count);
/* Takes frames from the front until the ring is full, and returns their number; the rest stays the program's. Frames
 * that cannot be sent (too long, too short) are taken, too, and counted as drops of the port. A count of 0 only frees
 * what was sent. */
POLLUX_C_API uint32_t pollux_tx_burst(pollux_tx* tx, const pollux_frame* frames, uint32_t count);
/* The queue takes its buffers from this handle, or returns them to it, from now on: one of the thread that uses the
 * queue. POLLUX_INVALID_ARGUMENT: `pool` is not the pool of the receive queue. Not while another thread changes the
 * port. */
POLLUX_C_API pollux_code pollux_rx_use_pool(pollux_rx* rx, const pollux_pool* pool, pollux_error* error);
POLLUX_C_API pollux_code pollux_tx_use_pool(pollux_tx* tx, const pollux_pool* pool, pollux_error* error);

/* To sleep until frames come: poll the queue; if it is empty, arm it; if that returns true, wait for the descriptor to
 * become readable (poll, epoll, libuv, io_uring), then disarm it and poll again. The port's: do not read or close it.
 * -1: the queue cannot wake a program. */
POLLUX_C_API int pollux_rx_event_fd(const pollux_rx* rx);
POLLUX_C_API bool pollux_rx_arm(pollux_rx* rx);
POLLUX_C_API void pollux_rx_disarm(pollux_rx* rx);
/* As pollux_rx_burst, but sleeps until there are frames, at most for that long. *received of 0: none came in time.
 * POLLUX_NOT_SUPPORTED: the queue cannot wake a program. */
POLLUX_C_API pollux_code pollux_rx_wait(pollux_context* context, pollux_rx* rx, pollux_frame* frames, uint32_t count,
                                        uint64_t nanoseconds, uint32_t* received, pollux_error* error);

/* ---- The poller ------------------------------------------------------------------------------------------------ */

/* Polls receive queues in turns, fairly, and sleeps while none has frames. It has no thread of its own. */
typedef struct pollux_poller pollux_poller;
/* Gets the frames of one poll, at least one, and owns them. */
typedef void pollux_frames_callback(void* user, pollux_frame* frames, uint32_t count);

POLLUX_C_API pollux_poller* pollux_poller_open(pollux_context* context, pollux_error* error);
/* Not in a callback, nor while a thread is in pollux_poller_run_once. NULL is ignored. */
POLLUX_C_API void pollux_poller_close(pollux_poller* poller);
/* Polls `rx` from now on. `weight`: frames that it may deliver in its turn, 1 to 1024; 0: 64. */
POLLUX_C_API pollux_code pollux_poller_add(pollux_poller* poller, pollux_rx* rx, uint32_t weight,
                                           pollux_frames_callback* callback, void* user, pollux_error* error);
/* Before its port is closed. Also in a callback. */
POLLUX_C_API pollux_code pollux_poller_remove(pollux_poller* poller, pollux_rx* rx, pollux_error* error);
/* Polls each queue in its turn; if none has frames, sleeps until one has, `nanoseconds` have passed, or another thread
 * calls pollux_poller_wake; at most a second. UINT64_MAX: without another limit. *frames: how many came; may be NULL.
 */
POLLUX_C_API pollux_code pollux_poller_run_once(pollux_poller* poller, uint64_t nanoseconds, uint32_t* frames,
                                                pollux_error* error);
POLLUX_C_API void pollux_poller_wake(pollux_poller* poller);

/* ---- Observation and laboratory -------------------------------------------------------------------------------- */

/* Answers `pollux stats`, `pollux capture` and other tools while it is open, in pollux_context_run_due. */
typedef struct pollux_telemetry pollux_telemetry;
/* Of pollux_telemetry_options.flags. */
enum { POLLUX_TELEMETRY_READ_ONLY = 1 /* requests that change a port are refused */ };
typedef struct pollux_telemetry_options {
  size_t size;
  const char* socket;    /* path of the socket; NULL: PID.sock in `directory` */
  const char* directory; /* NULL: as docs/telemetry.md says, where the tools look */
  const char* program;   /* the name in answers; NULL: that of the process */
  uint32_t flags;
} pollux_telemetry_options;
POLLUX_C_API pollux_telemetry* pollux_telemetry_open(pollux_context* context, const pollux_telemetry_options* options,
                                                     pollux_error* error);
POLLUX_C_API void pollux_telemetry_close(pollux_telemetry* telemetry);

/* What became of the frames that the in-process card `sim:card` has sent, as a JSON object: entered, carried, lost,
 * duplicated, dropped_unopened and others, as sim::WireCounters. A wire is told to lose, delay and reorder frames by
 * the URI: sim:0?loss=0.1,seed=7. NULL: the error says why. */
POLLUX_C_API char* pollux_wire_counters(pollux_context* context, uint32_t card, pollux_error* error);

#ifdef __cplusplus
}
#endif

#endif
