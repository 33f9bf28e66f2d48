/* SPDX-License-Identifier: BSD-3-Clause */
#include "module.h"

bool queue_begin(Port* port, bool* busy) {
  if (!port_usable(port)) return false;
  if (*busy) {
    PyErr_SetString(PyExc_RuntimeError,
                    "another thread is in a call of this queue: a queue is of one thread at a time");
    return false;
  }
  *busy = true;
  port->users++;
  return true;
}

PyObject* rx_new(Port* port, pollux_rx* queue) {
  Rx* self = (Rx*)new_object(port->context->state->rx);
  if (self == NULL) return NULL;
  Py_INCREF((PyObject*)port);
  self->port = port;
  self->queue = queue;
  return (PyObject*)self;
}

static int rx_traverse(Rx* self, visitproc visit, void* arg) {
  Py_VISIT((PyObject*)Py_TYPE((PyObject*)self));
  Py_VISIT((PyObject*)self->port);
  return 0;
}

static void rx_dealloc(Rx* self) {
  PyObject_GC_UnTrack(self);
  Py_DECREF((PyObject*)self->port);
  free_object((PyObject*)self);
}

bool descriptors_begin(Descriptors* room, PyObject* const* args, Py_ssize_t count) {
  enum { kDefault = 32, kMost = 65536 };
  room->frames = room->few;
  room->count = kDefault;
  if (count == 0) return true;
  const long asked = PyLong_AsLong(args[0]);
  if (asked == -1 && PyErr_Occurred()) return false;
  if (asked < 1 || asked > kMost) {
    PyErr_Format(PyExc_ValueError, "a burst has 1 to %d frames, not %ld", kMost, asked);
    return false;
  }
  room->count = (uint32_t)asked;
  if (room->count <= sizeof room->few / sizeof room->few[0]) return true;
  room->frames = PyMem_Calloc(room->count, sizeof(pollux_frame));
  if (room->frames == NULL) PyErr_NoMemory();
  return room->frames != NULL;
}

void descriptors_end(Descriptors* room) {
  if (room->frames != room->few) PyMem_Free(room->frames);
}

static PyObject* list_of(Context* context, pollux_frame* frames, uint32_t count) {
  PyObject* list = PyList_New((Py_ssize_t)count);
  uint32_t made = 0;
  while (list != NULL && made != count) {
    PyObject* frame = frame_new(context, &frames[made++]);
    if (frame != NULL) {
      PyList_SetItem(list, (Py_ssize_t)made - 1, frame);
    } else {
      Py_CLEAR(list); /* forgets those in it */
    }
  }
  if (list == NULL) forget(context, frames + made, count - made);
  return list;
}

static bool most_arguments(const char* call, Py_ssize_t count, Py_ssize_t most) {
  if (count <= most) return true;
  PyErr_Format(PyExc_TypeError, "%s takes at most %zd arguments, not %zd", call, most, count);
  return false;
}

static PyObject* rx_burst(Rx* self, PyObject* const* args, Py_ssize_t count) {
  Descriptors room;
  if (!most_arguments("burst", count, 1) || !descriptors_begin(&room, args, count)) return NULL;
  PyObject* list = NULL;
  Port* port = self->port;
  if (queue_begin(port, &self->busy)) {
    uint32_t received;
    Py_BEGIN_ALLOW_THREADS
    received = pollux_rx_burst(self->queue, room.frames, room.count);
    Py_END_ALLOW_THREADS
    queue_end(port, &self->busy);
    deliver(port->context);
    list = list_of(port->context, room.frames, received);
  }
  descriptors_end(&room);
  return list;
}

/* Waits in slices, so that a signal such as Ctrl-C ends it. False: an exception is set. */
static bool wait_for_frames(Rx* self, Descriptors* room, uint64_t left, uint32_t* received) {
  enum { kSlice = 100000000 };
  Context* context = self->port->context;
  pollux_error error;
  pollux_code code;
  bool goes_on;
  do {
    const uint64_t slice = left < kSlice ? left : kSlice;
    Py_BEGIN_ALLOW_THREADS
    code = pollux_rx_wait(context->handle, self->queue, room->frames, room->count, slice, received, &error);
    Py_END_ALLOW_THREADS
    if (left != UINT64_MAX) left -= slice;
    goes_on = code != POLLUX_OK || *received != 0 || PyErr_CheckSignals() == 0;
  } while (goes_on && code == POLLUX_OK && *received == 0 && left != 0);
  if (goes_on && code != POLLUX_OK) raise_error(context->state, &error);
  return goes_on && code == POLLUX_OK;
}

static PyObject* rx_wait(Rx* self, PyObject* args, PyObject* words) {
  static char* names[] = {"n", "seconds", NULL};
  PyObject *n = NULL, *seconds = Py_None;
  uint64_t nanoseconds;
  if (!PyArg_ParseTupleAndKeywords(args, words, "|OO:wait", names, &n, &seconds) ||
      !nanoseconds_of(seconds, &nanoseconds) || !context_usable(self->port->context))
    return NULL;
  Descriptors room;
  if (!descriptors_begin(&room, &n, n != NULL)) return NULL;
  PyObject* list = NULL;
  Port* port = self->port;
  if (queue_begin(port, &self->busy)) {
    uint32_t received = 0;
    port->context->users++;
    const bool waited = wait_for_frames(self, &room, nanoseconds, &received);
    port->context->users--;
    queue_end(port, &self->busy);
    deliver(port->context);
    if (waited) list = list_of(port->context, room.frames, received);
  }
  descriptors_end(&room);
  return list;
}

static PyObject* rx_fileno(Rx* self, PyObject* Py_UNUSED(ignored)) {
  if (!queue_begin(self->port, &self->busy)) return NULL;
  const int fd = pollux_rx_event_fd(self->queue);
  queue_end(self->port, &self->busy);
  if (fd >= 0) return PyLong_FromLong(fd);
  const pollux_error error = {.code = POLLUX_NOT_SUPPORTED, .message = "this queue cannot wake a program: poll it"};
  return raise_error(self->port->context->state, &error);
}

static PyObject* rx_arm(Rx* self, PyObject* Py_UNUSED(ignored)) {
  if (!queue_begin(self->port, &self->busy)) return NULL;
  const bool armed = pollux_rx_arm(self->queue);
  queue_end(self->port, &self->busy);
  return PyBool_FromLong(armed);
}

static PyObject* rx_disarm(Rx* self, PyObject* Py_UNUSED(ignored)) {
  if (!queue_begin(self->port, &self->busy)) return NULL;
  pollux_rx_disarm(self->queue);
  queue_end(self->port, &self->busy);
  Py_RETURN_NONE;
}

static PyObject* rx_frames(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (!most_arguments("frames", count, 1)) return NULL;
  PyObject* frames = ((Rx*)self)->port->context->state->frames;
  return count == 0 ? PyObject_CallFunction(frames, "O", self) : PyObject_CallFunction(frames, "OO", self, args[0]);
}

#define POLLUX_FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL
static PyMethodDef rx_methods[] = {
    {"burst", POLLUX_FAST(rx_burst), "burst(n=32): the frames that have arrived, at most n. Never waits."},
    {"wait", (PyCFunction)(void (*)(void))rx_wait, METH_VARARGS | METH_KEYWORDS,
     "wait(n=32, seconds=None): as burst, but sleeps until there are frames."},
    {"read", POLLUX_FAST(rx_read), "read(n=32): copies of the frames that have arrived, as a list of bytes."},
    {"burst_into", POLLUX_FAST(rx_burst_into),
     "burst_into(rows, lengths): copies frames into a two-dimensional array."},
    {"frames", POLLUX_FAST(rx_frames), "await frames(n=32): as wait, in asyncio."},
    {"fileno", (PyCFunction)rx_fileno, METH_NOARGS, "Is readable when frames have come, while the queue is armed."},
    {"arm", (PyCFunction)rx_arm, METH_NOARGS, "False: frames are there already."},
    {"disarm", (PyCFunction)rx_disarm, METH_NOARGS, "Ends what arm began."},
    {NULL, NULL, 0, NULL},
};

static PyObject* rx_closed(Rx* self, void* Py_UNUSED(closure)) { return PyBool_FromLong(self->port->handle == NULL); }

static PyGetSetDef rx_getters[] = {
    {"closed", (getter)rx_closed, NULL, "Its port is.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot rx_slots[] = {
    {Py_tp_dealloc, rx_dealloc},
    {Py_tp_traverse, rx_traverse},
    {Py_tp_methods, rx_methods},
    {Py_tp_getset, rx_getters},
    {Py_tp_doc, "A receive queue of a port."},
    {0, NULL},
};

PyType_Spec rx_spec = {
    .name = "pollux.Rx",
    .basicsize = sizeof(Rx),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = rx_slots,
};
