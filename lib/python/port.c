/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "module.h"

bool port_usable(const Port* port) {
  if (port->context->forks != pollux_python_forks) return raise_forked("port");
  if (port->handle != NULL) return true;
  PyErr_SetString(PyExc_ValueError, "the port is closed");
  return false;
}

static void unlink_port(Port* self) {
  Port** place = &self->context->ports;
  while (*place != self) place = &(*place)->next;
  *place = self->next;
}

PyObject* port_new(Context* context, pollux_port* handle) {
  Port* self = (Port*)new_object(context->state->port);
  if (self == NULL) {
    pollux_port_close(handle, NULL);
    return NULL;
  }
  Py_INCREF((PyObject*)context);
  self->context = context;
  self->handle = handle;
  self->next = context->ports;
  context->ports = self;
  return (PyObject*)self;
}

bool port_close(Port* self) {
  if (self->handle == NULL || self->context->forks != pollux_python_forks) return true;
  deliver(self->context); /* while it can be found; that may run anything, even this */
  if (self->handle == NULL) return true;
  if (self->users != 0) {
    PyErr_SetString(PyExc_RuntimeError, "another thread is in a call of this port: end that before it is closed");
    return false;
  }
  pollux_port* handle = self->handle;
  pollux_pool* pool = self->pool;
  self->handle = NULL; /* no other thread begins a call from now on */
  self->pool = NULL;
  unlink_port(self);
  pollux_error error;
  Py_BEGIN_ALLOW_THREADS
  pollux_pool_close(pool);
  pollux_port_close(handle, &error);
  Py_END_ALLOW_THREADS
  deliver(self->context);
  Py_CLEAR(self->on_event);
  if (error.code == POLLUX_OK) return true;
  raise_error(self->context->state, &error);
  return false;
}

static PyObject* close_port(Port* self, PyObject* Py_UNUSED(ignored)) {
  if (!port_close(self)) return NULL;
  Py_RETURN_NONE;
}

static int port_traverse(Port* self, visitproc visit, void* arg) {
  Py_VISIT((PyObject*)Py_TYPE((PyObject*)self));
  Py_VISIT(self->context);
  Py_VISIT(self->on_event);
  return 0;
}

static int port_clear(Port* self) {
  Py_CLEAR(self->on_event);
  return 0;
}

static void port_dealloc(Port* self) {
  PyObject_GC_UnTrack(self);
  if (self->handle != NULL && self->context->forks == pollux_python_forks) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_WarnEx(PyExc_ResourceWarning, "unclosed pollux.Port", 1) != 0) PyErr_WriteUnraisable(NULL);
    unlink_port(self); /* before another thread could find an object without references */
    pollux_pool_close(self->pool);
    pollux_port_close(self->handle, NULL);
    deliver(self->context);
    PyErr_Restore(type, value, traceback);
  }
  port_clear(self);
  Py_CLEAR(self->context);
  free_object((PyObject*)self);
}

/* ---- Frames to send --------------------------------------------------------------------------------------------- */

static bool open_pool(Port* self) {
  if (self->pool != NULL) return true;
  pollux_error error;
  self->pool = pollux_pool_of_port(self->handle, 0, &error);
  if (self->pool == NULL && self->context->handle != NULL) { /* a port that only sends */
    self->pool = pollux_pool_open(self->context->handle, NULL, &error);
  }
  if (self->pool == NULL) raise_error(self->context->state, &error);
  return self->pool != NULL;
}

static void raise_exhausted(State* state) {
  const pollux_error error = {.code = POLLUX_NO_MEMORY,
                              .message = "the pool has no frame left: send, free or drop frames that the program has"};
  raise_error(state, &error);
}

bool port_allocate(Port* self, pollux_frame* frame, uint32_t bytes) {
  if (!open_pool(self)) return false;
  if (pollux_alloc(self->pool, frame, 1, bytes)) return true;
  if (!pollux_alloc(self->pool, frame, 1, 0)) {
    raise_exhausted(self->context->state);
    return false;
  }
  pollux_free(self->pool, frame, 1);
  PyErr_Format(PyExc_ValueError, "a frame of %u bytes does not fit in a buffer of the port's pool, which takes some %u",
               bytes, frame->capacity - frame->headroom);
  return false;
}

static PyObject* port_frame(Port* self, PyObject* content) {
  pollux_frame frame;
  if (PyLong_Check(content)) {
    unsigned long bytes = PyLong_AsUnsignedLong(content);
    if (bytes == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    if (!port_usable(self) || !port_allocate(self, &frame, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes))
      return NULL;
    memset(frame.data, 0, frame.length);
    return frame_new(self->context, &frame);
  }
  Py_buffer view;
  if (PyObject_GetBuffer(content, &view, PyBUF_SIMPLE) != 0) return NULL;
  const bool allocated =
      port_usable(self) && port_allocate(self, &frame, view.len > UINT32_MAX ? UINT32_MAX : (uint32_t)view.len);
  if (allocated) memcpy(frame.data, view.buf, (size_t)view.len);
  PyBuffer_Release(&view);
  return allocated ? frame_new(self->context, &frame) : NULL;
}

static PyObject* port_clone(Port* self, PyObject* of) {
  if (Py_TYPE(of) != self->context->state->frame || ((Frame*)of)->context != self->context) {
    PyErr_SetString(PyExc_TypeError, "a frame of the port's context is expected");
    return NULL;
  }
  Frame* frame = (Frame*)of;
  if (!port_usable(self) || !frame_is_whole(frame) || !open_pool(self)) return NULL;
  pollux_frame clone;
  if (pollux_frame_clone(&frame->frame, self->pool, &clone)) return frame_new(self->context, &clone);
  raise_exhausted(self->context->state);
  return NULL;
}

/* ---- Control ---------------------------------------------------------------------------------------------------- */

static PyObject* port_settings(Port* self, PyObject* Py_UNUSED(ignored)) {
  if (!port_usable(self)) return NULL;
  pollux_error error;
  char* settings;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  settings = pollux_port_settings(self->handle, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  return text_of(self->context->state, settings, &error);
}

static PyObject* port_change(Port* self, PyObject* args) {
  const char* patch;
  if (!PyArg_ParseTuple(args, "s:change", &patch) || !port_usable(self)) return NULL;
  pollux_error error;
  pollux_code code;
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  code = pollux_port_change(self->handle, patch, &error);
  Py_END_ALLOW_THREADS
  self->users--;
  deliver(self->context);
  if (code != POLLUX_OK) return raise_error(self->context->state, &error);
  Py_RETURN_NONE;
}

static PyObject* port_wait_for_link(Port* self, PyObject* seconds) {
  uint64_t asked;
  if (!nanoseconds_of(seconds, &asked) || !port_usable(self)) return NULL;
  enum { kSlice = 100000000 }; /* so that a signal such as Ctrl-C ends it */
  pollux_error error;
  pollux_code code;
  self->users++;
  uint64_t left = asked;
  bool goes_on;
  do {
    const uint64_t slice = left < kSlice ? left : kSlice;
    Py_BEGIN_ALLOW_THREADS
    code = pollux_port_wait_for_link(self->handle, slice, &error);
    Py_END_ALLOW_THREADS
    left -= slice;
    goes_on = PyErr_CheckSignals() == 0;
  } while (goes_on && code == POLLUX_TIMEOUT && left != 0);
  self->users--;
  deliver(self->context);
  if (!goes_on) return NULL;
  if (code == POLLUX_TIMEOUT) { /* the library speaks of the last slice */
    snprintf(error.message, sizeof error.message,
             "the link is still down after %.9g s: check the cable, and that the link partner is started (for a ring: "
             "port, its other end); or wait longer",
             (double)asked * 1e-9);
  }
  if (code != POLLUX_OK) return raise_error(self->context->state, &error);
  Py_RETURN_NONE;
}

static PyObject* port_on_event(Port* self, PyObject* callback) {
  if (callback != Py_None && !PyCallable_Check(callback)) {
    PyErr_Format(PyExc_TypeError, "a callable (kind, queue, text) or None is expected, not %R", callback);
    return NULL;
  }
  if (!port_usable(self)) return NULL;
  PyObject* old = self->on_event;
  self->on_event = NULL;
  if (callback != Py_None) {
    Py_INCREF(callback);
    self->on_event = callback;
  }
  self->users++;
  Py_BEGIN_ALLOW_THREADS
  pollux_port_on_event(self->handle, callback == Py_None ? NULL : event_notice, self);
  Py_END_ALLOW_THREADS
  self->users--;
  Py_XDECREF(old); /* last, since its __del__ may close the port */
  Py_RETURN_NONE;
}

static bool queue_number(Port* self, PyObject* number, uint16_t* index) {
  const long value = PyLong_AsLong(number);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value < 0 || value > UINT16_MAX) {
    PyErr_SetString(PyExc_ValueError, "the number of a queue is 0 to 65535");
    return false;
  }
  *index = (uint16_t)value;
  return port_usable(self);
}

/* The queue, or None. */
static PyObject* port_rx(Port* self, PyObject* number) {
  uint16_t index;
  if (!queue_number(self, number, &index)) return NULL;
  pollux_rx* queue = pollux_port_rx(self->handle, index);
  if (queue == NULL) Py_RETURN_NONE;
  return rx_new(self, queue);
}

static PyObject* port_tx(Port* self, PyObject* number) {
  uint16_t index;
  if (!queue_number(self, number, &index)) return NULL;
  pollux_tx* queue = pollux_port_tx(self->handle, index);
  if (queue == NULL) Py_RETURN_NONE;
  return tx_new(self, queue);
}

static PyObject* port_closed(Port* self, void* Py_UNUSED(closure)) { return PyBool_FromLong(self->handle == NULL); }

static PyMethodDef port_methods[] = {
    {"close", (PyCFunction)close_port, METH_NOARGS, NULL},
    {"rx", (PyCFunction)port_rx, METH_O, NULL},
    {"tx", (PyCFunction)port_tx, METH_O, NULL},
    {"frame", (PyCFunction)port_frame, METH_O, NULL},
    {"clone", (PyCFunction)port_clone, METH_O, NULL},
    {"settings", (PyCFunction)port_settings, METH_NOARGS, NULL},
    {"change", (PyCFunction)port_change, METH_VARARGS, NULL},
    {"wait_for_link", (PyCFunction)port_wait_for_link, METH_O, NULL},
    {"on_event", (PyCFunction)port_on_event, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef port_getters[] = {
    {"closed", (getter)port_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot port_slots[] = {
    {Py_tp_dealloc, port_dealloc}, {Py_tp_traverse, port_traverse}, {Py_tp_clear, port_clear},
    {Py_tp_methods, port_methods}, {Py_tp_getset, port_getters},    {0, NULL},
};

PyType_Spec port_spec = {
    .name = "pollux._pollux.Port",
    .basicsize = sizeof(Port),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = port_slots,
};
