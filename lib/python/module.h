/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pollux._pollux: what the Python package needs of pollux.h in C, in Python's limited API. Contexts and ports are
 * handles here, with settings and results as JSON texts; pollux/__init__.py makes Python of them.
 *
 * Everything is guarded by the GIL. A call that releases it marks what it uses before (`users`, `busy`, `taken`), so
 * that another thread gets an exception instead of using it, too, or closing it.
 */
#ifndef POLLUX_PYTHON_MODULE_H
#define POLLUX_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pollux/pollux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define POLLUX_HIDDEN __attribute__((visibility("hidden")))

/* The module's state. */
typedef struct State {
  PyTypeObject *context, *port, *rx, *tx, *frame;
  PyObject* make_error;  /* pollux._errors.make(code, message) */
  PyObject* packet_type; /* pollux._values.PacketType */
  PyObject* checksum;    /* pollux._values.Checksum */
  PyObject* frames;      /* pollux._aio.frames(rx, n) */
} State;

/* A message or an event that Python has not received yet. */
typedef struct Notice {
  struct Notice* next;
  const struct Port* port; /* NULL: a message. It may be closed by now */
  int32_t kind;            /* or the level */
  uint16_t queue;
  char text[];
} Notice;

typedef struct Context {
  PyObject_HEAD State* state;
  pollux_context* handle; /* NULL: closed */
  pollux_drop_counter* forgotten_counter;
  pollux_telemetry* telemetry; /* NULL: closed */
  uint64_t forgotten;          /* frames that were garbage-collected */
  unsigned forks;              /* forks of the process before it was opened */
  unsigned users;              /* threads in calls without the GIL */
  struct Port* ports;          /* the open ones */
  PyObject* log;               /* NULL: none */
  /* Callbacks of the library append to this list without the GIL, which its thread could be waiting for in vain: the
   * one that has it may wait for a lock of the library. */
  pthread_mutex_t mutex;
  Notice *first, **last;
  atomic_bool has_notices;
} Context;

typedef struct Port {
  PyObject_HEAD Context* context;
  pollux_port* handle; /* NULL: closed */
  pollux_pool* pool;   /* of its first receive queue, or its own; used with the GIL */
  unsigned users;
  struct Port* next;  /* of Context.ports */
  PyObject* on_event; /* NULL: none */
} Port;

typedef struct Rx {
  PyObject_HEAD Port* port;
  pollux_rx* queue;
  bool busy;
} Rx;

typedef struct Tx {
  PyObject_HEAD Port* port;
  pollux_tx* queue;
  bool busy;
} Tx;

typedef struct Frame {
  PyObject_HEAD Context* context;
  pollux_frame frame; /* handle NULL: sent, dropped or freed */
  uint32_t exports;   /* views of its bytes */
  bool taken;         /* in a burst of another thread */
} Frame;

/* ---- module.c: what the others share. Functions that return false or NULL have set an exception. ---------------- */

extern POLLUX_HIDDEN unsigned pollux_python_forks;

PyObject* raise_error(State* state, const pollux_error* error) POLLUX_HIDDEN;
/* Seconds as a number; None is UINT64_MAX. */
bool nanoseconds_of(PyObject* seconds, uint64_t* nanoseconds) POLLUX_HIDDEN;
/* A text of the library, which it frees. */
PyObject* text_of(State* state, char* text, const pollux_error* error) POLLUX_HIDDEN;
bool raise_forked(const char* what) POLLUX_HIDDEN;
/* A new instance, of zeros, which the garbage collector knows. */
PyObject* new_object(PyTypeObject* type) POLLUX_HIDDEN;
/* Of an instance: frees the memory, and the reference to its type. */
void free_object(PyObject* self) POLLUX_HIDDEN;

/* ---- context.c -------------------------------------------------------------------------------------------------- */

extern POLLUX_HIDDEN PyType_Spec context_spec;
bool context_usable(const Context* context) POLLUX_HIDDEN;
void log_notice(void* user, pollux_log_level level, const char* message) POLLUX_HIDDEN;
void event_notice(void* user, const pollux_event* event) POLLUX_HIDDEN;
void deliver_notices(Context* context) POLLUX_HIDDEN;
/* Gives Python what the library has said meanwhile. For the end of calls. */
static inline void deliver(Context* context) {
  if (atomic_load_explicit(&context->has_notices, memory_order_acquire)) deliver_notices(context);
}

/* ---- port.c ----------------------------------------------------------------------------------------------------- */

extern POLLUX_HIDDEN PyType_Spec port_spec;
bool port_usable(const Port* port) POLLUX_HIDDEN;
/* `handle`: is the new object's, and closed if that cannot be made. */
PyObject* port_new(Context* context, pollux_port* handle) POLLUX_HIDDEN;
/* Closes it if it is open. */
bool port_close(Port* port) POLLUX_HIDDEN;
/* A frame of that many bytes. */
bool port_allocate(Port* port, pollux_frame* frame, uint32_t bytes) POLLUX_HIDDEN;

/* ---- frame.c, frame_fields.c ------------------------------------------------------------------------------------ */

extern POLLUX_HIDDEN PyType_Spec frame_spec;
extern POLLUX_HIDDEN PyGetSetDef frame_fields[];
PyObject* frame_request(PyObject* self, PyObject* args, PyObject* words) POLLUX_HIDDEN;
PyObject* frame_request_checksums(PyObject* self, PyObject* args, PyObject* words) POLLUX_HIDDEN;
bool frame_usable(const Frame* frame) POLLUX_HIDDEN;
/* Usable, and no view of its bytes exists. */
bool frame_is_whole(const Frame* frame) POLLUX_HIDDEN;
/* Frees the buffer if it fails. */
PyObject* frame_new(Context* context, const pollux_frame* frame) POLLUX_HIDDEN;
/* Frames that no one can receive any more: counted as forgotten. */
void forget(Context* context, pollux_frame* frames, uint32_t count) POLLUX_HIDDEN;

/* Frames of a list, taken until they are used up or given back. */
typedef struct Batch {
  Frame** objects;
  pollux_frame* frames;
  uint32_t count;
  Frame* few_objects[64];
  pollux_frame few_frames[64];
} Batch;
/* Takes the frames of a sequence, all of the same context. */
bool batch_take(Batch* batch, Context* context, PyObject* frames) POLLUX_HIDDEN;
/* The first `used` are used up; the others are usable again. */
void batch_end(Batch* batch, uint32_t used) POLLUX_HIDDEN;

/* ---- rx.c, rx_copies.c, tx.c ------------------------------------------------------------------------------------- */

extern POLLUX_HIDDEN PyType_Spec rx_spec;
extern POLLUX_HIDDEN PyType_Spec tx_spec;
PyObject* rx_new(Port* port, pollux_rx* queue) POLLUX_HIDDEN;
PyObject* tx_new(Port* port, pollux_tx* queue) POLLUX_HIDDEN;
/* Begins a call on a queue, which `busy` marks: false if the port is closed, or another thread uses it. */
bool queue_begin(Port* port, bool* busy) POLLUX_HIDDEN;
static inline void queue_end(Port* port, bool* busy) {
  *busy = false;
  port->users--;
}

/* Descriptors of a burst. */
typedef struct Descriptors {
  pollux_frame* frames;
  uint32_t count;
  pollux_frame few[64];
} Descriptors;
/* Room for as many as args[0] says, or 32. */
bool descriptors_begin(Descriptors* room, PyObject* const* args, Py_ssize_t count) POLLUX_HIDDEN;
void descriptors_end(Descriptors* room) POLLUX_HIDDEN;
PyObject* rx_read(Rx* self, PyObject* const* args, Py_ssize_t count) POLLUX_HIDDEN;
PyObject* rx_burst_into(Rx* self, PyObject* const* args, Py_ssize_t count) POLLUX_HIDDEN;

#endif
