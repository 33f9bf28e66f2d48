/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "module.h"

/* A call without the GIL lasts at most this long, so that a signal such as Ctrl-C ends a wait. */
enum { kSlice = 50000000 };

bool context_usable(const Context* context) {
  if (context->forks != pollux_python_forks) return raise_forked("context");
  if (context->handle != NULL) return true;
  PyErr_SetString(PyExc_ValueError, "the context is closed");
  return false;
}

/* ---- Notices ---------------------------------------------------------------------------------------------------- */

static void add_notice(Context* context, const Port* port, int32_t kind, uint16_t queue, const char* text) {
  const size_t length = strlen(text) + 1;
  Notice* notice = malloc(sizeof *notice + length);
  if (notice == NULL) return; /* there is no one to tell */
  *notice = (Notice){.port = port, .kind = kind, .queue = queue};
  memcpy(notice->text, text, length);
  pthread_mutex_lock(&context->mutex);
  *context->last = notice;
  context->last = &notice->next;
  atomic_store_explicit(&context->has_notices, true, memory_order_release);
  pthread_mutex_unlock(&context->mutex);
}

void log_notice(void* user, pollux_log_level level, const char* message) { add_notice(user, NULL, level, 0, message); }

void event_notice(void* user, const pollux_event* event) {
  const Port* port = user;
  add_notice(port->context, port, event->kind, event->queue, event->text);
}

static Notice* next_notice(Context* context) {
  pthread_mutex_lock(&context->mutex);
  Notice* notice = context->first;
  if (notice != NULL) context->first = notice->next;
  if (context->first == NULL) {
    context->last = &context->first;
    atomic_store_explicit(&context->has_notices, false, memory_order_relaxed);
  }
  pthread_mutex_unlock(&context->mutex);
  return notice;
}

static void deliver_one(Context* context, const Notice* notice) {
  PyObject* callback = context->log;
  if (notice->port != NULL) {
    const Port* port = context->ports;
    while (port != NULL && port != notice->port) port = port->next;
    callback = port == NULL ? NULL : port->on_event;
  }
  if (callback == NULL) return;
  Py_INCREF(callback);
  PyObject* text = PyUnicode_DecodeUTF8(notice->text, (Py_ssize_t)strlen(notice->text), "replace");
  PyObject* result = NULL;
  if (text != NULL) {
    result = notice->port == NULL ? PyObject_CallFunction(callback, "iO", (int)notice->kind, text)
                                  : PyObject_CallFunction(callback, "iiO", (int)notice->kind, (int)notice->queue, text);
    Py_DECREF(text);
  }
  if (result == NULL) PyErr_WriteUnraisable(callback);
  Py_XDECREF(result);
  Py_DECREF(callback);
}

void deliver_notices(Context* context) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  Py_INCREF((PyObject*)context);
  for (Notice* notice; (notice = next_notice(context)) != NULL; free(notice)) deliver_one(context, notice);
  Py_DECREF((PyObject*)context);
  PyErr_Restore(type, value, traceback);
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static PyObject* context_new(PyTypeObject* type, PyObject* args, PyObject* words) {
  static char* names[] = {"log", "flags", "arena_bytes", NULL};
  PyObject* log;
  unsigned flags;
  long long arena_bytes;
  if (!PyArg_ParseTupleAndKeywords(args, words, "OIL:Context", names, &log, &flags, &arena_bytes)) return NULL;
  if (arena_bytes < 0) {
    PyErr_SetString(PyExc_ValueError, "arena_bytes has to be 0 or more");
    return NULL;
  }
  if (log != Py_None && !PyCallable_Check(log)) {
    PyErr_Format(PyExc_TypeError, "log has to be a callable (level, message), not %R", log);
    return NULL;
  }
  State* state = PyType_GetModuleState(type);
  Context* self = state == NULL ? NULL : (Context*)new_object(type);
  if (self == NULL) return NULL;
  self->state = state;
  self->forks = pollux_python_forks;
  self->last = &self->first;
  pthread_mutex_init(&self->mutex, NULL);
  if (log != Py_None) {
    Py_INCREF(log);
    self->log = log;
  }
  pollux_context_options options = {.size = sizeof options, .arena_bytes = (uint64_t)arena_bytes, .flags = flags};
  if (self->log != NULL) {
    options.log = log_notice;
    options.user = self;
  }
  pollux_error error;
  Py_BEGIN_ALLOW_THREADS
  self->handle = pollux_context_open(&options, &error);
  if (self->handle != NULL) {
    self->forgotten_counter = pollux_drop_counter_open(self->handle, "python_forgotten", &error);
  }
  Py_END_ALLOW_THREADS
  deliver(self);
  if (self->forgotten_counter == NULL) {
    raise_error(state, &error);
    Py_DECREF((PyObject*)self);
    return NULL;
  }
  return (PyObject*)self;
}

/* Closes its ports, and it. The frames stay valid. */
static bool close_context(Context* self) {
  if (self->users != 0) {
    PyErr_SetString(PyExc_RuntimeError, "another thread is in a call of this context: end that before it is closed");
    return false;
  }
  while (self->ports != NULL) {
    Port* port = self->ports;
    Py_INCREF((PyObject*)port);
    bool closed = port_close(port);
    bool is_open = port->handle != NULL;
    Py_DECREF((PyObject*)port);
    if (is_open) return false;
    if (!closed) PyErr_WriteUnraisable((PyObject*)self); /* it is closed, but not all of it was released properly */
  }
  pollux_context* handle = self->handle;
  pollux_telemetry* telemetry = self->telemetry;
  self->handle = NULL;
  self->forgotten_counter = NULL;
  self->telemetry = NULL;
  Py_BEGIN_ALLOW_THREADS
  pollux_telemetry_close(telemetry);
  pollux_context_close(handle);
  Py_END_ALLOW_THREADS
  deliver(self);
  Py_CLEAR(self->log);
  return true;
}

static PyObject* context_close(Context* self, PyObject* Py_UNUSED(ignored)) {
  if (self->handle == NULL || self->forks != pollux_python_forks) Py_RETURN_NONE;
  if (!close_context(self)) return NULL;
  Py_RETURN_NONE;
}

static int context_traverse(Context* self, visitproc visit, void* arg) {
  Py_VISIT((PyObject*)Py_TYPE((PyObject*)self));
  Py_VISIT(self->log);
  return 0;
}

static int context_clear(Context* self) {
  Py_CLEAR(self->log);
  return 0;
}

static void context_dealloc(Context* self) {
  PyObject_GC_UnTrack(self);
  if (self->handle != NULL && self->forks == pollux_python_forks) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (self->forgotten_counter != NULL && PyErr_WarnEx(PyExc_ResourceWarning, "unclosed pollux.Context", 1) != 0)
      PyErr_WriteUnraisable(NULL);
    PyErr_Restore(type, value, traceback);
    pollux_telemetry_close(self->telemetry);
    pollux_context_close(self->handle); /* its ports have references, so there are none */
  }
  for (Notice* notice; (notice = next_notice(self)) != NULL;) free(notice);
  pthread_mutex_destroy(&self->mutex);
  context_clear(self);
  free_object((PyObject*)self);
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static PyObject* context_open(Context* self, PyObject* args) {
  const char *uri, *settings;
  if (!PyArg_ParseTuple(args, "sz:open", &uri, &settings) || !context_usable(self)) return NULL;
  pollux_error error;
  self->users++;
  pollux_port* port;
  Py_BEGIN_ALLOW_THREADS
  port = pollux_port_open(self->handle, uri, settings, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  deliver(self);
  return port == NULL ? raise_error(self->state, &error) : port_new(self, port);
}

static PyObject* context_now(Context* self, PyObject* Py_UNUSED(ignored)) {
  return context_usable(self) ? PyFloat_FromDouble((double)pollux_context_now(self->handle) * 1e-9) : NULL;
}

static PyObject* context_sleep(Context* self, PyObject* seconds) {
  uint64_t left;
  if (!nanoseconds_of(seconds, &left) || !context_usable(self)) return NULL;
  self->users++;
  bool goes_on = true;
  do {
    const uint64_t slice = left < kSlice ? left : kSlice;
    Py_BEGIN_ALLOW_THREADS
    pollux_context_sleep(self->handle, slice);
    Py_END_ALLOW_THREADS
    left -= slice;
    goes_on = PyErr_CheckSignals() == 0;
  } while (goes_on && left != 0);
  self->users--;
  deliver(self);
  if (!goes_on) return NULL;
  Py_RETURN_NONE;
}

static PyObject* context_run_due(Context* self, PyObject* Py_UNUSED(ignored)) {
  if (!context_usable(self)) return NULL;
  pollux_error error;
  uint64_t next = UINT64_MAX;
  pollux_code code;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  code = pollux_context_run_due(self->handle, &next, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  deliver(self);
  if (code != POLLUX_OK) return raise_error(self->state, &error);
  if (next == UINT64_MAX) Py_RETURN_NONE;
  return PyFloat_FromDouble((double)next * 1e-9);
}

static PyObject* context_fileno(Context* self, PyObject* Py_UNUSED(ignored)) {
  return context_usable(self) ? PyLong_FromLong(pollux_context_event_fd(self->handle)) : NULL;
}

static PyObject* context_request(Context* self, PyObject* args) {
  const char *method, *params;
  PyObject* of;
  if (!PyArg_ParseTuple(args, "Osz:request", &of, &method, &params) || !context_usable(self)) return NULL;
  Port* port = NULL;
  if (of != Py_None) {
    port = (Port*)of;
    if (Py_TYPE(of) != self->state->port || port->context != self) {
      PyErr_SetString(PyExc_TypeError, "a port of this context is expected");
      return NULL;
    }
    if (!port_usable(port)) return NULL;
    port->users++;
  }
  pollux_error error;
  char* result;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  result = pollux_request(self->handle, port == NULL ? NULL : port->handle, method, params, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  if (port != NULL) port->users--;
  deliver(self);
  return text_of(self->state, result, &error);
}

static PyObject* context_wire_counters(Context* self, PyObject* args) {
  long long card;
  if (!PyArg_ParseTuple(args, "L:wire_counters", &card) || !context_usable(self)) return NULL;
  if (card < 0 || card > UINT32_MAX) return PyErr_Format(PyExc_ValueError, "there is no card sim:%lld", card);
  pollux_error error;
  char* result;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  result = pollux_wire_counters(self->handle, (uint32_t)card, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  return text_of(self->state, result, &error);
}

static PyObject* context_serve(Context* self, PyObject* args) {
  pollux_telemetry_options options = {.size = sizeof options};
  int is_read_only;
  if (!PyArg_ParseTuple(args, "zzp:serve", &options.socket, &options.program, &is_read_only) || !context_usable(self))
    return NULL;
  if (self->telemetry != NULL) {
    PyErr_SetString(PyExc_ValueError, "the context serves telemetry already");
    return NULL;
  }
  options.flags = is_read_only ? POLLUX_TELEMETRY_READ_ONLY : 0;
  pollux_error error;
  self->telemetry = pollux_telemetry_open(self->handle, &options, &error); /* which takes no time */
  deliver(self);
  if (self->telemetry == NULL) return raise_error(self->state, &error);
  Py_RETURN_NONE;
}

static pollux_drop_counter* counter_named(Context* self, const char* name) {
  if (!context_usable(self)) return NULL;
  pollux_error error;
  pollux_drop_counter* counter = pollux_drop_counter_open(self->handle, name, &error);
  if (counter == NULL) raise_error(self->state, &error);
  return counter;
}

static PyObject* context_drop(Context* self, PyObject* args) {
  PyObject* frames;
  const char* name;
  if (!PyArg_ParseTuple(args, "Os:drop", &frames, &name)) return NULL;
  Batch batch;
  if (!batch_take(&batch, self, frames)) return NULL;
  pollux_drop_counter* counter = counter_named(self, name); /* now, since an iterator may have closed the context */
  if (counter != NULL) pollux_drop(counter, NULL, batch.frames, batch.count); /* with the GIL: one thread counts */
  batch_end(&batch, counter == NULL ? 0 : batch.count);
  if (counter == NULL) return NULL;
  Py_RETURN_NONE;
}

static PyObject* context_dropped(Context* self, PyObject* args) {
  const char* name;
  if (!PyArg_ParseTuple(args, "s:dropped", &name)) return NULL;
  pollux_drop_counter* counter = counter_named(self, name);
  return counter == NULL ? NULL : PyLong_FromUnsignedLongLong(pollux_drop_count(counter));
}

static PyObject* context_forgotten(Context* self, void* Py_UNUSED(closure)) {
  return PyLong_FromUnsignedLongLong(self->forgotten);
}

static PyObject* context_closed(Context* self, void* Py_UNUSED(closure)) {
  return PyBool_FromLong(self->handle == NULL);
}

static PyMethodDef context_methods[] = {
    {"open", (PyCFunction)context_open, METH_VARARGS, NULL},
    {"close", (PyCFunction)context_close, METH_NOARGS, NULL},
    {"now", (PyCFunction)context_now, METH_NOARGS, NULL},
    {"sleep", (PyCFunction)context_sleep, METH_O, NULL},
    {"run_due", (PyCFunction)context_run_due, METH_NOARGS, NULL},
    {"fileno", (PyCFunction)context_fileno, METH_NOARGS, NULL},
    {"request", (PyCFunction)context_request, METH_VARARGS, NULL},
    {"wire_counters", (PyCFunction)context_wire_counters, METH_VARARGS, NULL},
    {"serve", (PyCFunction)context_serve, METH_VARARGS, NULL},
    {"drop", (PyCFunction)context_drop, METH_VARARGS, NULL},
    {"dropped", (PyCFunction)context_dropped, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef context_getters[] = {
    {"forgotten", (getter)context_forgotten, NULL, NULL, NULL},
    {"closed", (getter)context_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot context_slots[] = {
    {Py_tp_new, context_new},
    {Py_tp_dealloc, context_dealloc},
    {Py_tp_traverse, context_traverse},
    {Py_tp_clear, context_clear},
    {Py_tp_methods, context_methods},
    {Py_tp_getset, context_getters},
    {0, NULL},
};

PyType_Spec context_spec = {
    .name = "pollux._pollux.Context",
    .basicsize = sizeof(Context),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = context_slots,
};
