/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame: its life, its bytes and views of them. */
#include <string.h>

#include "module.h"

bool frame_usable(const Frame* self) {
  if (self->frame.handle != NULL && !self->taken && self->context->forks == pollux_python_forks) return true;
  if (self->context->forks != pollux_python_forks) return raise_forked("frame");
  if (self->frame.handle == NULL) {
    PyErr_SetString(PyExc_ValueError, "this frame was sent, dropped or freed");
  } else {
    PyErr_SetString(PyExc_RuntimeError, "this frame is in a burst, of another thread or twice in this one");
  }
  return false;
}

bool frame_is_whole(const Frame* self) {
  if (!frame_usable(self)) return false;
  if (self->exports == 0) return true;
  PyErr_SetString(PyExc_BufferError, "views of this frame's bytes exist: release the memoryview or array first");
  return false;
}

PyObject* frame_new(Context* context, const pollux_frame* frame) {
  Frame* self = PyObject_New(Frame, context->state->frame);
  if (self == NULL) {
    pollux_frame lost = *frame;
    forget(context, &lost, 1);
    return NULL;
  }
  Py_INCREF((PyObject*)context);
  self->context = context;
  self->frame = *frame;
  self->exports = 0;
  self->taken = false;
  return (PyObject*)self;
}

void forget(Context* context, pollux_frame* frames, uint32_t count) {
  if (context->forks != pollux_python_forks) return; /* the parent's */
  context->forgotten += count;
  if (context->forgotten_counter != NULL) {
    pollux_drop(context->forgotten_counter, NULL, frames, count);
  } else {
    pollux_free(NULL, frames, count);
  }
}

static void frame_dealloc(Frame* self) {
  if (self->frame.handle != NULL) forget(self->context, &self->frame, 1);
  PyTypeObject* type = Py_TYPE((PyObject*)self);
  Py_DECREF((PyObject*)self->context);
  PyObject_Free(self);
  Py_DECREF((PyObject*)type);
}

/* ---- Batches ---------------------------------------------------------------------------------------------------- */

static bool batch_add(Batch* batch, Context* context, PyObject* object) {
  if (Py_TYPE(object) != context->state->frame) {
    PyErr_Format(PyExc_TypeError, "frames are expected, not %R", Py_TYPE(object));
    return false;
  }
  Frame* frame = (Frame*)object;
  if (!frame_is_whole(frame)) return false;
  if (frame->context != context) {
    PyErr_SetString(PyExc_ValueError, "this frame is of another context: copy its bytes");
    return false;
  }
  Py_INCREF((PyObject*)frame);
  frame->taken = true;
  batch->objects[batch->count] = frame;
  batch->frames[batch->count++] = frame->frame;
  return true;
}

bool batch_take(Batch* batch, Context* context, PyObject* frames) {
  batch->count = 0;
  batch->objects = batch->few_objects;
  batch->frames = batch->few_frames;
  PyObject* list = frames;
  if (PyList_Check(frames)) {
    Py_INCREF((PyObject*)list);
  } else if ((list = PySequence_List(frames)) == NULL) {
    return false;
  }
  const Py_ssize_t count = PyList_Size(list);
  bool taken = true;
  if (count > 64) {
    batch->objects = PyMem_Calloc((size_t)count, sizeof(Frame*));
    batch->frames = PyMem_Calloc((size_t)count, sizeof(pollux_frame));
    taken = batch->objects != NULL && batch->frames != NULL && count <= INT32_MAX;
    if (!taken) PyErr_NoMemory();
  }
  for (Py_ssize_t i = 0; taken && i < count; ++i) taken = batch_add(batch, context, PyList_GetItem(list, i));
  Py_DECREF((PyObject*)list);
  if (!taken) batch_end(batch, 0);
  return taken;
}

void batch_end(Batch* batch, uint32_t used) {
  for (uint32_t i = 0; i < batch->count; ++i) {
    Frame* frame = batch->objects[i];
    frame->taken = false;
    if (i < used) frame->frame.handle = NULL;
    Py_DECREF((PyObject*)frame);
  }
  if (batch->objects != batch->few_objects) PyMem_Free(batch->objects);
  if (batch->frames != batch->few_frames) PyMem_Free(batch->frames);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

static int frame_getbuffer(Frame* self, Py_buffer* view, int flags) {
  view->obj = NULL;
  if (!frame_usable(self)) return -1;
  if ((self->frame.flags & POLLUX_FRAME_SEGMENTED) != 0) {
    PyErr_SetString(PyExc_BufferError, "this frame has several buffers: bytes(frame) copies all of it");
    return -1;
  }
  const bool shared = (self->frame.flags & POLLUX_FRAME_SHARED) != 0;
  if (PyBuffer_FillInfo(view, (PyObject*)self, self->frame.data, self->frame.length, shared, flags) != 0) return -1;
  self->exports++;
  return 0;
}

static void frame_releasebuffer(Frame* self, Py_buffer* Py_UNUSED(view)) { self->exports--; }

static Py_ssize_t frame_length(Frame* self) {
  return frame_usable(self) ? (Py_ssize_t)pollux_frame_bytes(&self->frame) : -1;
}

static PyObject* copy_of(const Frame* self, size_t offset, size_t bytes) {
  PyObject* copy = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
  if (copy != NULL) pollux_frame_copy(&self->frame, offset, PyBytes_AsString(copy), bytes);
  return copy;
}

static PyObject* frame_bytes(Frame* self, PyObject* Py_UNUSED(ignored)) {
  return frame_usable(self) ? copy_of(self, 0, pollux_frame_bytes(&self->frame)) : NULL;
}

static PyObject* frame_item(Frame* self, Py_ssize_t index) {
  if (!frame_usable(self)) return NULL;
  if (index >= 0 && index < self->frame.length) return PyLong_FromLong(self->frame.data[index]);
  uint8_t byte;
  if (index < 0 || pollux_frame_copy(&self->frame, (size_t)index, &byte, 1) != 1) {
    PyErr_SetString(PyExc_IndexError, "the frame has fewer bytes");
    return NULL;
  }
  return PyLong_FromLong(byte);
}

static PyObject* frame_subscript(Frame* self, PyObject* key) {
  /* The key's __index__ may send the frame or shorten it. */
  if (PyIndex_Check(key)) {
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if ((index == -1 && PyErr_Occurred()) || !frame_usable(self)) return NULL;
    return frame_item(self, index < 0 ? index + (Py_ssize_t)pollux_frame_bytes(&self->frame) : index);
  }
  if (!PySlice_Check(key))
    return PyErr_Format(PyExc_TypeError, "a frame is indexed by integers or slices, not %R", key);
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(key, &start, &stop, &step) != 0 || !frame_usable(self)) return NULL;
  const Py_ssize_t length = pollux_frame_bytes(&self->frame);
  const Py_ssize_t count = PySlice_AdjustIndices(length, &start, &stop, step);
  if (step == 1) return copy_of(self, (size_t)start, (size_t)count);
  PyObject* all = copy_of(self, 0, (size_t)length);
  PyObject* some = all == NULL ? NULL : PyObject_GetItem(all, key);
  Py_XDECREF(all);
  return some;
}

static int frame_assign(PyObject* self, PyObject* key, PyObject* value) {
  if (value == NULL) {
    PyErr_SetString(PyExc_TypeError, "bytes of a frame cannot be deleted: strip and trim shorten it");
    return -1;
  }
  PyObject* view = PyMemoryView_FromObject(self); /* its rules hold: the size stays, and what is shared is read-only */
  if (view == NULL) return -1;
  const int result = PyObject_SetItem(view, key, value);
  Py_DECREF(view);
  return result;
}

/* ---- Growing and shrinking -------------------------------------------------------------------------------------- */

static PyObject* grow(Frame* self, PyObject* content, uint8_t* (*by)(pollux_frame*, uint32_t)) {
  Py_buffer view;
  if (PyObject_GetBuffer(content, &view, PyBUF_SIMPLE) != 0) return NULL;
  PyObject* result = NULL;
  if (frame_is_whole(self)) {
    uint8_t* bytes = view.len > UINT16_MAX ? NULL : by(&self->frame, (uint32_t)view.len);
    if (bytes == NULL) {
      PyErr_Format(PyExc_ValueError, "no room for %zd bytes in the buffer, or its bytes are shared", view.len);
    } else {
      memcpy(bytes, view.buf, (size_t)view.len);
      Py_INCREF(Py_None);
      result = Py_None;
    }
  }
  PyBuffer_Release(&view);
  return result;
}

static PyObject* shrink(Frame* self, PyObject* count, bool (*by)(pollux_frame*, uint32_t)) {
  const unsigned long bytes = PyLong_AsUnsignedLong(count);
  if ((bytes == (unsigned long)-1 && PyErr_Occurred()) || !frame_is_whole(self)) return NULL;
  if (bytes > UINT32_MAX || !by(&self->frame, (uint32_t)bytes)) {
    return PyErr_Format(PyExc_ValueError, "the buffer at this end of the frame has fewer than %lu bytes", bytes);
  }
  Py_RETURN_NONE;
}

static PyObject* frame_append(Frame* self, PyObject* content) { return grow(self, content, pollux_frame_append); }
static PyObject* frame_prepend(Frame* self, PyObject* content) { return grow(self, content, pollux_frame_prepend); }
static PyObject* frame_strip(Frame* self, PyObject* count) { return shrink(self, count, pollux_frame_strip); }
static PyObject* frame_trim(Frame* self, PyObject* count) { return shrink(self, count, pollux_frame_trim); }

static PyObject* frame_chain(Frame* self, PyObject* object) {
  if (Py_TYPE(object) != self->context->state->frame)
    return PyErr_Format(PyExc_TypeError, "a frame is expected, not %R", Py_TYPE(object));
  Frame* more = (Frame*)object;
  if (!frame_is_whole(self) || !frame_is_whole(more)) return NULL;
  if (more->context != self->context || !pollux_frame_chain(&self->frame, &more->frame)) {
    PyErr_SetString(PyExc_ValueError, "this very frame, one of another context, or more than 255 buffers in all");
    return NULL;
  }
  more->frame.handle = NULL;
  Py_RETURN_NONE;
}

static PyObject* frame_free(Frame* self, PyObject* Py_UNUSED(ignored)) {
  if (!frame_is_whole(self)) return NULL;
  pollux_free(NULL, &self->frame, 1);
  self->frame.handle = NULL;
  Py_RETURN_NONE;
}

static PyObject* frame_enter(PyObject* self, PyObject* Py_UNUSED(ignored)) {
  Py_INCREF((PyObject*)self);
  return self;
}

/* Frees it unless it was sent. */
static PyObject* frame_exit(Frame* self, PyObject* Py_UNUSED(args)) {
  if (self->frame.handle == NULL) Py_RETURN_NONE;
  return frame_free(self, NULL);
}

static PyObject* frame_repr(Frame* self) {
  if (self->frame.handle == NULL) return PyUnicode_FromString("<pollux.Frame, used up>");
  if (self->context->forks != pollux_python_forks) return PyUnicode_FromString("<pollux.Frame of another process>");
  return PyUnicode_FromFormat("<pollux.Frame, %u bytes>", (unsigned)pollux_frame_bytes(&self->frame));
}

static PyMethodDef frame_methods[] = {
    {"append", (PyCFunction)frame_append, METH_O, "Adds bytes at the end."},
    {"prepend", (PyCFunction)frame_prepend, METH_O, "Adds bytes at the front."},
    {"strip", (PyCFunction)frame_strip, METH_O, "Removes that many bytes from the front."},
    {"trim", (PyCFunction)frame_trim, METH_O, "Removes that many bytes from the end."},
    {"chain", (PyCFunction)frame_chain, METH_O, "Appends the buffers of another frame, which is used up."},
    {"free", (PyCFunction)frame_free, METH_NOARGS, "Returns the buffer to its pool: the frame was consumed."},
    {"request", (PyCFunction)(void (*)(void))frame_request, METH_VARARGS | METH_KEYWORDS,
     "Sets what the port that sends it is asked to do."},
    {"request_checksums", (PyCFunction)(void (*)(void))frame_request_checksums, METH_VARARGS | METH_KEYWORDS,
     "Requests checksums, and writes what they need."},
    {"__bytes__", (PyCFunction)frame_bytes, METH_NOARGS, NULL},
    {"__enter__", frame_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)frame_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot frame_slots[] = {
    {Py_tp_dealloc, frame_dealloc},
    {Py_tp_repr, frame_repr},
    {Py_tp_methods, frame_methods},
    {Py_tp_getset, frame_fields},
    {Py_bf_getbuffer, frame_getbuffer},
    {Py_bf_releasebuffer, frame_releasebuffer},
    {Py_sq_length, frame_length},
    {Py_sq_item, frame_item},
    {Py_mp_length, frame_length},
    {Py_mp_subscript, frame_subscript},
    {Py_mp_ass_subscript, frame_assign},
    {Py_tp_doc, "A received frame, or one to send. Its bytes are a buffer: memoryview, numpy.frombuffer."},
    {0, NULL},
};

PyType_Spec frame_spec = {
    .name = "pollux.Frame",
    .basicsize = sizeof(Frame),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = frame_slots,
};
